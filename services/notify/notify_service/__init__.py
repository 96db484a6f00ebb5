"""The notify service: mail, push, notifications and alerts."""
