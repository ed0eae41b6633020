"""Ways to reach the verbs. A facade translates and decides nothing."""
