"""What is said and to whom, as pure functions: rows in, mails, payloads and alerts out. No Kafka or network."""
