package hub

import (
	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/protocol"
)

// group is the members of a stream with the same identifier. They get the same bytes.
type group struct {
	identifier string
	head       []byte // protocol.MessageHead
	place      int32  // in stream.groups
	deflates   bool   // the members' frames are compressed
	socket.Set
}

// groupKey identifies a group of a stream.
type groupKey struct {
	identifier string
	deflates   bool
}

func (g *group) key() groupKey { return groupKey{g.identifier, g.deflates} }

// maxUnindexed is the most groups for which a search is cheaper than a map.
const maxUnindexed = 8

// group finds the group with a key, or adds one.
func (s *stream) group(key groupKey) *group {
	if s.index != nil {
		if g := s.index[key]; g != nil {
			return g
		}
	} else {
		for _, g := range s.groups {
			if g.key() == key {
				return g
			}
		}
	}
	g := &group{
		identifier: key.identifier, deflates: key.deflates,
		head: protocol.MessageHead(key.identifier), place: int32(len(s.groups)),
	}
	s.groups = append(s.groups, g)
	if s.index != nil {
		s.index[key] = g
	} else if len(s.groups) > maxUnindexed {
		s.index = make(map[groupKey]*group, len(s.groups))
		for _, g := range s.groups {
			s.index[g.key()] = g
		}
	}
	return g
}

func (s *stream) removeGroup(g *group) {
	last := len(s.groups) - 1
	s.groups[last].place = g.place
	s.groups[g.place] = s.groups[last]
	s.groups[last] = nil
	s.groups = s.groups[:last]
	delete(s.index, g.key())
}

// frameOverhead is the longest head of a WebSocket text frame plus MessageTail, in bytes.
const frameOverhead = 11

// deliver turns payloads into frames, once, and writes them to every member but those of one page.
// About socket.WriteBytes of frames share a write. It returns how many frames it has written.
func (g *group) deliver(batch [][]byte, except socket.Page, turns *socket.Turns) (written int) {
	for len(batch) > 0 {
		size, n := 0, 0
		for n < len(batch) && (n == 0 || size < socket.WriteBytes) {
			size += len(g.head) + len(batch[n]) + frameOverhead
			n++
		}
		frames := make([]byte, 0, size)
		for _, payload := range batch[:n] {
			frames = socket.AppendTextHead(frames, len(g.head)+len(payload)+1)
			frames = append(frames, g.head...)
			frames = append(frames, payload...)
			frames = append(frames, protocol.MessageTail)
		}
		if g.deflates {
			frames = socket.Deflate(frames)
		}
		written += n * g.WriteExcept(except, frames, turns)
		batch = batch[n:]
	}
	return written
}
