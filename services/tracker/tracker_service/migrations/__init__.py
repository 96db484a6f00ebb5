"""The SQL files that make schema `muster`, in order. Running them is schema.py's."""
