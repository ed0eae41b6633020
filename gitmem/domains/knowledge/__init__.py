"""Knowledge: what agents found out, decided and drew up, so that nobody has to do it again."""
