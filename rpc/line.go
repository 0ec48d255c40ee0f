package rpc

import "slices"

// line is where jobs wait, in order of arrival.
type line []*job

func (l *line) append(j *job) { *l = append(*l, j) }

// take returns the job that has waited longest, or nil.
func (l *line) take() *job {
	if len(*l) == 0 {
		return nil
	}
	j := (*l)[0]
	(*l)[0] = nil
	*l = (*l)[1:]
	return j
}

// remove takes out a job, and reports whether it was there.
func (l *line) remove(j *job) bool {
	i := slices.Index(*l, j)
	if i >= 0 {
		*l = slices.Delete(*l, i, i+1)
	}
	return i >= 0
}
