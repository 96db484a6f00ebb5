"""The import service: cadets, grades and attendance from other systems. Each module says what it holds."""
