# Seconds to wait for anything that must come. CATENARY_TEST_PATIENCE=3 triples them.
PATIENCE = 120 * Float(ENV.fetch("CATENARY_TEST_PATIENCE", 1))
