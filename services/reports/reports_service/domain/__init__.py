"""How the reports look, as pure functions: figures in, the bytes of a PDF out. No Kafka, environment or network."""
