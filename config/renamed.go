package config

// renamed maps former keys to their current names. A former key, its variable and its flag are
// errors that name the current one.
var renamed = map[string]string{
	"backend.patience": "backend.queue_timeout",
	"broadcasts.proof": "broadcasts.probe",
}

// renamedVariable returns the current name of a former variable, or "".
func renamedVariable(name string) string {
	for before, now := range renamed {
		if name == (setting{key: before}).env() {
			return setting{key: now}.env()
		}
	}
	return ""
}

// RenamedFlag returns the current name of a former flag, both without dashes, or "".
func RenamedFlag(name string) string {
	for before, now := range renamed {
		if name == (setting{key: before}).flag() {
			return setting{key: now}.flag()
		}
	}
	return ""
}
