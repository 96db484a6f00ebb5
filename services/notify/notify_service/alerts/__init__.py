"""The alerts' own process: reads dead letters, decides by domain/, sends. The mail and push tasks are beside it."""
