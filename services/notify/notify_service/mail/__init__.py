"""Mail: connections to the server, and who got what. What mails say and look like is domain's."""
