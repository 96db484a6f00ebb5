"""What is done to a document, as pure functions: bytes in, pictures and text out. No Kafka, environment or network."""
