"""What is done to a file, as pure functions: bytes and options in, values out. No Kafka, environment or network."""
