"""Reviews: changes of main that somebody proposes and somebody else lets in."""
