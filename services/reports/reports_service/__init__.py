"""The reports service: PDF reports, certificates, the daily attendance report. Each module says what it holds."""
