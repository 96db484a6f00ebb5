"""`muster chaos run`: everything is killed while tasks run, and what became of each is counted. Holds no test."""
