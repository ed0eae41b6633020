"""Words with a role in questions: those that say nothing, and those that mean the same."""

_SAY_NOTHING = """
    a about above after again against all also am an and any anybody anyone anything are aren as at be because been
    before being below between both but by came can cannot come could couldn d did didn do does doesn doing don down
    during each either else ever every everyone everything few for from further get gets getting give given go goes
    going gone got had hadn has hasn have haven having he her here hers herself him himself his how i if in instead
    into is isn it its itself just know let like ll look m make makes many may maybe me might mine more most much must
    my myself need needs neither no nobody nor not nothing of off often on once one only or other our ours ourselves
    out over own please rather re really s same say says see shall she should shouldn since so some somebody someone
    something still such t take tell than that the their theirs them themselves then there these they thing things
    this those though through to too under until up upon us use used uses using ve very want wants was wasn way we
    were weren what whatever when where whether which while who whom whose why will with within without won would
    wouldn yes yet you your yours yourself yourselves
"""
STOP_WORDS = frozenset(_SAY_NOTHING.split())

# Words of programming that mean the same, unstemmed. Each line is one meaning.
_SAME = """
    authentication auth authenticate login signin
    authorization authz authorize permission permissions
    configuration config configure settings conf
    database db
    repository repo
    directory folder dir
    environment env
    parameter param argument arg
    arguments args params parameters
    function func method
    initialize init initialise
    application app
    documentation docs doc
    document doc
    dependency dependencies deps dep
    development dev
    production prod
    directories dirs folders
    delete remove del rm erase
    create make new
    error exception failure
    errors exceptions failures
    message msg
    messages msgs
    temporary temp tmp
    asynchronous async
    synchronous sync
    synchronize sync
    specification spec
    identifier id
    information info
    maximum max
    minimum min
    number num count
    string str text
    integer int
    boolean bool
    character char
    dictionary dict mapping
    object obj
    attribute attr
    reference ref
    previous prev
    request req
    response resp
    execute exec run
    command cmd
    source src
    destination dest dst target
    connection conn connect
    context ctx
    index idx
    length len size
    library lib package
    image img
    button btn
    password passwd pwd
    address addr
    administrator admin
    kubernetes k8s
    javascript js
    typescript ts
    python py
    internationalization i18n
    continuous ci
    performance perf speed
    utility util helper
    generate gen
    calculate calc compute
    original orig
    version ver
    variable var
    vulnerability cve
    concurrent parallel
    timeout deadline
    retry backoff
    cache memoize
    convert transform
    fetch retrieve
    verify validate check
    start launch begin
    stop halt end
    fast quick
    bug defect
    fix repair
    test tests
    statement stmt
    expression expr
    iterator iter
    sequence seq
    regular regex
    pattern regex
    separator sep delimiter
    position pos
    column col
    columns cols
    distribution dist
    current cur
    buffer buf
    callback cb
    returns return
    yields yield
"""


def _groups() -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for line in _SAME.split("\n"):
        group = line.split()
        for word in group:
            table[word] = tuple(dict.fromkeys([*table.get(word, ()), *(other for other in group if other != word)]))
    return table


SYNONYMS = _groups()
