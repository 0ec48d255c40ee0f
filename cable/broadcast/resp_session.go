package broadcast

import (
	"crypto/subtle"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/tidwall/redcon"
)

// respVersion is the Redis whose pub/sub is mirrored, for clients that ask.
const respVersion = "7.0.0"

func (c *respClient) auth(args [][]byte) {
	if !c.arity(args, 2, 3) {
		return
	}
	if c.source.options.Password == "" {
		c.fail("ERR AUTH <password> called without any password configured for the default user. " +
			"Are you sure your configuration is correct?")
		return
	}
	if c.checkPassword(args[1:]) {
		c.ok()
	}
}

// checkPassword takes [user] password.
func (c *respClient) checkPassword(credentials [][]byte) bool {
	user, password := "default", credentials[len(credentials)-1]
	if len(credentials) == 2 {
		user = string(credentials[0])
	}
	want := []byte(c.source.options.Password)
	if len(want) > 0 && (user != "default" || subtle.ConstantTimeCompare(password, want) != 1) {
		c.fail("WRONGPASS invalid username-password pair or user is disabled.")
		return false
	}
	c.authenticated = true
	return true
}

// hello is HELLO [version [AUTH user password] [SETNAME name]].
func (c *respClient) hello(args [][]byte) {
	resp3 := c.resp3
	name := ""
	if len(args) > 1 {
		switch string(args[1]) {
		case "2":
			resp3 = false
		case "3":
			resp3 = true
		default:
			c.fail("NOPROTO unsupported protocol version")
			return
		}
	}
	for i := 2; i < len(args); {
		switch option := strings.ToUpper(string(args[i])); {
		case option == "AUTH" && i+2 < len(args):
			if !c.checkPassword(args[i+1 : i+3]) {
				return
			}
			i += 3
		case option == "SETNAME" && i+1 < len(args):
			name = string(args[i+1])
			i += 2
		default:
			c.fail("ERR Syntax error in HELLO option '" + strings.ToLower(option) + "'")
			return
		}
	}
	if !c.authenticated {
		c.fail("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> " +
			"AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version " +
			"at the same time")
		return
	}
	if name != "" {
		c.setName(name)
	}
	c.mu.Lock()
	c.resp3 = resp3
	c.mu.Unlock()
	c.reply(func(b []byte) []byte {
		b = c.appendMap(b, 7)
		b = appendStrings(b, "server", "catenary", "version", respVersion, "proto")
		if c.resp3 {
			b = redcon.AppendInt(b, 3)
		} else {
			b = redcon.AppendInt(b, 2)
		}
		b = redcon.AppendInt(appendStrings(b, "id"), c.id)
		b = appendStrings(b, "mode", "standalone", "role", "master", "modules")
		return redcon.AppendArray(b, 0)
	})
}

func (c *respClient) client(args [][]byte) {
	sub := ""
	if len(args) > 1 {
		sub = strings.ToUpper(string(args[1]))
	}
	switch sub {
	case "SETNAME":
		if c.arity(args, 3, 3) {
			c.setName(string(args[2]))
			c.ok()
		}
	case "GETNAME":
		c.source.mu.RLock()
		name := c.name
		c.source.mu.RUnlock()
		c.bulk(name)
	case "ID":
		c.reply(func(b []byte) []byte { return redcon.AppendInt(b, c.id) })
	case "SETINFO", "NO-EVICT", "NO-TOUCH":
		c.ok()
	case "LIST", "INFO":
		c.bulk(c.clientList(sub == "INFO"))
	default:
		c.unknown("client " + strings.ToLower(sub))
	}
}

func (c *respClient) setName(name string) {
	c.source.mu.Lock()
	c.name = name
	c.source.mu.Unlock()
}

func (c *respClient) clientList(onlySelf bool) string {
	e := c.source
	e.mu.RLock()
	defer e.mu.RUnlock()
	var lines []string
	for client := range e.clients {
		if onlySelf && client != c {
			continue
		}
		lines = append(lines, fmt.Sprintf("id=%d addr=%s name=%s age=%d sub=%d psub=%d\n", client.id,
			client.conn.RemoteAddr(), client.name, int(time.Since(client.since).Seconds()),
			len(client.topics), len(client.patterns)))
	}
	sort.Strings(lines)
	return strings.Join(lines, "")
}

func (c *respClient) info() string {
	e := c.source
	e.mu.RLock()
	defer e.mu.RUnlock()
	return fmt.Sprintf("# Server\r\nredis_version:%s\r\nredis_mode:standalone\r\nserver_name:catenary\r\n"+
		"# Clients\r\nconnected_clients:%d\r\nmaxclients:%d\r\n"+
		"# Stats\r\npubsub_channels:%d\r\npubsub_patterns:%d\r\ncatenary_streams:%d\r\n"+
		"# Replication\r\nrole:master\r\n",
		respVersion, len(e.clients), e.options.MaxClients, len(e.topics), len(e.patterns), len(e.wanted))
}
