-- What was told lately is looked up with every batch.
CREATE INDEX alerts_at ON muster.alerts (at);
