package audit

import "slices"

// identifiers finds values of identified_by that are neither records nor
// scalars.
func identifiers(s subject) []Finding {
	names := s.identifiers()
	var found []Finding
	s.each(func(p part, i int) {
		name, value := p.assignment(i, names)
		if name == "" || !names[name[1:]] {
			return
		}
		if kept := p.unkeepable(value); kept != "" {
			found = append(found, p.finding("identified_by", i, Live, name[1:]+" = "+kept, lostIdentifier(kept), "change: identify by a record or a scalar"))
			return
		}
		if class := p.plainObject(s, value); class != "" {
			found = append(found, p.finding("identified_by", i, Plain, name[1:]+" = "+class, "is no record, so it travels by Marshal, and its to_s names the connection for remote disconnects", "nothing to do if it can be marshalled and has a to_s of its own; else change: identify by a record or a scalar"))
		}
	})
	return found
}

// lostIdentifier is lostMeans of an identifier.
func lostIdentifier(kept string) string {
	if kept == hashBlock {
		return lostMeans(kept)
	}
	return "kept on the live object; when that is rebuilt, in another process or after a pause, the browser has to reconnect"
}

func (s subject) identifiers() map[string]bool {
	names := map[string]bool{}
	s.each(func(p part, i int) {
		if !p.tokens[i].is(identifier, "identified_by") {
			return
		}
		for _, argument := range p.call(i).positional {
			names[p.tokens[argument.first].text] = true
		}
	})
	return names
}

// plainObject is the class of Name.new(…) if the application has it, and it is
// no record and nothing with a GlobalID.
func (p part) plainObject(s subject, value span) string {
	name, next := p.constantAt(value.first)
	if name == "" || !p.spells(next, ".", "new") || !p.ends(next+1, value) {
		return ""
	}
	if name == "Struct" || name == "OpenStruct" {
		return name
	}
	class := s.app.resolve(name, s.class.name)
	if class == nil {
		return ""
	}
	line, missing := s.app.lineage(class)
	if slices.ContainsFunc(missing, func(name string) bool { return name != "" && !plainModules[name] }) {
		return "" // from a library, or a record
	}
	for _, c := range line {
		if _, ok := c.methods()["to_gid_param"]; ok {
			return ""
		}
	}
	return name
}

// plainModules make no GlobalID.
var plainModules = map[string]bool{"Comparable": true, "Enumerable": true, "ActiveModel::Model": true, "ActiveModel::Attributes": true, "Singleton": true}
