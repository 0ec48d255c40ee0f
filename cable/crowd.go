package cable

// member is one place in a crowd. Its owner keeps it in order to leave.
type member struct {
	to      *socket
	at      int32 // place in the crowd
	left    bool
	waiting bool // for the acknowledgement; the connection's mu guards it

	stream   *stream // nil in the heartbeat
	group    *group
	callback func(payload []byte) // instead of to: a stream with a block, or an internal stream

	subscription *subscription // nil for an internal stream
	token        *string       // Rails' name for the stream's block; nil for a plain stream
}

// crowd is a set of sockets that get the same frames. Joining and leaving cost
// the same however many there are, and the sockets stand side by side for
// the walk. Who uses a crowd guards it.
type crowd struct {
	sockets []*socket
	members []*member
}

func (c *crowd) add(m *member) {
	m.at = int32(len(c.members))
	c.members = append(c.members, m)
	c.sockets = append(c.sockets, m.to)
}

func (c *crowd) remove(m *member) {
	last := len(c.members) - 1
	moved := c.members[last]
	moved.at = m.at
	c.members[m.at], c.sockets[m.at] = moved, c.sockets[last]
	c.members[last], c.sockets[last] = nil, nil
	c.members, c.sockets = c.members[:last], c.sockets[:last]
	if cap(c.members) > 64 && last < cap(c.members)/4 { // give back what a crowd that has left held
		c.members = append(make([]*member, 0, last*2), c.members...)
		c.sockets = append(make([]*socket, 0, last*2), c.sockets...)
	}
}

// write sends the frame to everyone.
func (c *crowd) write(frame []byte) {
	for _, s := range c.sockets {
		s.write(frame)
	}
}
