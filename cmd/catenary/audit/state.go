package audit

import "slices"

// unserialisable finds instance variables with values that cannot travel:
// neither ActiveJob's arguments nor Marshal can write them. Mirrors StateCodec
// of the gem.
func unserialisable(s subject) []Finding {
	writers := s.writers()
	var found []Finding
	s.each(func(p part, i int) {
		name, value := p.assignment(i, writers)
		if name == "" || !p.within[i].instance() {
			return
		}
		kept := p.unkeepable(value)
		if kept == "" {
			kept = p.holder(s, value)
		}
		if kept != "" {
			found = append(found, p.finding("unserialisable state", i, Live, name+" = "+kept, lostMeans(kept), lostAdvice(kept)+", or "+s.passThrough()))
		}
	})
	return found
}

func lostMeans(kept string) string {
	if kept == hashBlock {
		return "kept on the live object; when that is rebuilt, in another process or after a pause, the hash comes back without its block"
	}
	return "kept on the live object; unset, with a warning, when that is rebuilt in another process or after a pause"
}

func lostAdvice(kept string) string {
	switch kept {
	case relation:
		return "change: keep records (to_a) or what the query is made of"
	case hashBlock:
		return "change: fetch with a default"
	}
	return "change: make it where it is used, with ||= at the least"
}

// writers are the attributes that can be set by self.name = value.
func (s subject) writers() map[string]bool {
	names := map[string]bool{}
	s.each(func(p part, i int) {
		if t := p.tokens[i]; t.kind != identifier || t.text != "attr_accessor" && t.text != "attr_writer" {
			return
		}
		for _, argument := range p.call(i).positional {
			names[p.tokens[argument.first].text] = true
		}
	})
	return names
}

// holder says what a value is if it is an object of the application's that
// cannot travel, because it is given the channel or keeps what cannot.
func (p part) holder(s subject, value span) string {
	for _, e := range p.alternatives(value) {
		name, next := p.constantAt(e.first)
		if name == "" || !p.spells(next, ".", "new") || !p.ends(next+1, e) {
			continue
		}
		if p.givesSelf(next, e.last) {
			return "a " + name + ", which is given the channel"
		}
		if class := s.app.resolve(name, s.class.name); class != nil && class.superclass == "" {
			if kept := class.keeps(); kept != "" {
				return "a " + name + ", which keeps " + kept
			}
		}
	}
	return ""
}

// keeps is something in the instance variables of a class that cannot travel.
func (c *class) keeps() (kept string) {
	methods := c.methods()
	if _, own := methods["marshal_dump"]; own || slices.Contains(c.includes, "GlobalID::Identification") {
		return ""
	}
	for _, p := range c.parts {
		p.each(func(i int) {
			if name, value := p.assignment(i, nil); name != "" && kept == "" && p.within[i].instance() {
				kept = p.unkeepable(value)
			}
		})
	}
	return kept
}
