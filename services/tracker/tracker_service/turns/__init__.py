"""The waiting room: tasks that wait for their turn, and the one who calls them (docs/decisions/0006-turns.md)."""
