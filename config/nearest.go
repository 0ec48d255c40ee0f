package config

import "strings"

// Nearest returns the known name that a misspelled one was most likely meant to be, or "".
func Nearest(name string, known []string) string {
	best, least := "", len(name)/3+2
	for _, k := range known {
		d := distance(name, k)
		// max_connections is near limits.max_connections: compare the last parts as well
		tail := k[strings.LastIndexByte(k, '.')+1:]
		if tail != k && len(tail) > 3 {
			last := name[strings.LastIndexByte(name, '.')+1:]
			d = min(d, distance(last, tail)+1)
		}
		if d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is Levenshtein's: how many letters to add, drop or change.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, before+1)
		}
	}
	return row[len(b)]
}
