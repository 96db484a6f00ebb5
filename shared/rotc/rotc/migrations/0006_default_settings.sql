-- The settings every installation begins with.

INSERT INTO system_settings (key, value)
VALUES ('school_year', '2024-2025'), ('semester', '1st'), ('current_battalion', 'MSU-SND ROTC'), ('maintenance_mode', 'false')
ON CONFLICT (key) DO NOTHING;
