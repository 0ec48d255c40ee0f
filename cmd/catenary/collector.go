package main

import (
	"github.com/catenary-cable/catenary/cable"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/cable/lease"
	"github.com/catenary-cable/catenary/cable/stats"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/prometheus/client_golang/prometheus"
)

// collector turns the plain numbers of the server, of the hub and of the calls
// to Rails into metrics, when it is asked for them.
type collector struct {
	server  *cable.Server
	hub     *hub.Hub
	backend *rpc.Client
	lease   *lease.Lease // may be nil
}

func newCollector(server *cable.Server, hub *hub.Hub, backend *rpc.Client, lease *lease.Lease) *collector {
	return &collector{server, hub, backend, lease}
}

func (c *collector) Describe(descriptions chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(c, descriptions)
}

func (c *collector) Collect(found chan<- prometheus.Metric) {
	server, hub, nodes := c.server.Stats(), c.hub.Stats(), c.lease.Stats()
	inFlight, waiting := c.backend.Load()
	for _, m := range []prometheus.Metric{
		gauge("catenary_draining", "1 once catenary is being stopped.", truth(server.Draining)),
		gauge("catenary_nodes", "Nodes that have a lease in this Redis, this one too.", len(nodes.Others)+truth(nodes.Held)),
		gauge("catenary_lease", "1 while other nodes would run this one's callbacks if it were killed.", truth(nodes.Held)),
		gauge("catenary_lease_records", "Connections whose record is in Redis for other nodes.", nodes.Records),
		gauge("catenary_lease_records_pending", "Connections whose latest record is not in Redis yet.", nodes.Pending),
		gauge("catenary_connections", "Connections, those too of whose end Rails has yet to hear.", server.Connections),
		gauge("catenary_connections_stale", "Connections whose latest state only their Rails process has: if it is killed now, they reconnect.", server.Stale),
		gauge("catenary_handshakes", "Handshakes under way.", server.Handshakes),
		gauge("catenary_subscriptions", "Subscriptions that stand.", server.Subscriptions),
		gauge("catenary_slow_browsers", "Browsers for which something waits, because they do not take it at once.", server.Backlog.Browsers),
		gauge("catenary_queued_bytes", "Bytes that wait for these.", server.Backlog.Bytes),
		gauge("catenary_streams", "Streams with members here, catenary's own too.", hub.Streams),
		gauge("catenary_calls_in_flight", "Calls that Rails has and has not answered.", inFlight),
		gauge("catenary_calls_limit", "Calls that Rails may have at once now.", c.backend.Limit()),
		gauge("catenary_calls_waiting", "Calls that wait for their turn.", waiting),

		counter("catenary_nodes_taken_over_total", "Nodes that stopped renewing their lease and were taken over by this one.", float64(nodes.NodesTakenOver)),
		counter("catenary_connections_taken_over_total", "Connections of such nodes whose callbacks this one has run.", float64(nodes.ConnectionsTakenOver)),
		counter("catenary_connections_opened_total", "Connections that were opened.", float64(server.Opened)),
		counter("catenary_handshakes_rejected_by_rails_total", "Handshakes that Rails has rejected.", float64(server.RejectedByRails)),
		counter("catenary_commands_repeated_total", "Subscribes to what was subscribed to, which cost no call.", float64(server.Repeated)),
		counter("catenary_disconnects_lost_total", "Disconnect callbacks that Rails did not run, or may not have run.", float64(server.DisconnectsLost)),
		counter("catenary_broadcasts_received_total", "Broadcasts that came for a stream with members, catenary's own too.", float64(hub.Broadcasts)),
		counter("catenary_broadcasts_invalid_total", "Broadcasts dropped because they are no JSON, as Rails does.", float64(hub.Invalid)),
		counter("catenary_deliveries_total", "Frames of broadcasts handed to sockets.", float64(hub.Deliveries)),
		counter("catenary_pings_total", "Pings handed to sockets.", float64(server.Pings)),
		counter("catenary_rails_links_opened_total", "Links that have been opened into Rails processes.", float64(c.backend.LinksOpened())),
		counter("catenary_rails_warnings_total", "Warnings that Rails has sent with its answers.", float64(server.Warnings)),
		latencies("catenary_broadcast_seconds", "Seconds from a broadcast's arrival at catenary to its last write to a socket.", &hub.Latencies),
		latencies("catenary_stream_subscribe_seconds", "Seconds from a stream's first member to the acknowledgement of whoever brings broadcasts.", &hub.Subscribes),
		latencies("catenary_queue_seconds", "Seconds from the first frame that had to wait for a browser until none waited any more.", &server.Backlog.Lasted),
	} {
		found <- m
	}
	c.collectProcesses(found)
	counters(found, "catenary_connections_ended_total", "Connections closed, by reason.", "reason", server.Ends)
	counters(found, "catenary_handshakes_rejected_total", "Handshakes that catenary has rejected, by reason.", "reason", server.Rejected)
	counters(found, "catenary_commands_total", "Commands of browsers, by kind.", "kind", server.Commands)
	counters(found, "catenary_subscriptions_rejected_total", "Subscribes over a limit, by limit.", "limit", server.SubscriptionsRejected)
	counters(found, "catenary_commands_throttled_total", "Times that a browser was read later because it was over a limit, by limit.", "limit", server.Throttled)
}

// collectProcesses sums up Rails' processes. They come and go, so none of them
// has a series of its own: the status page and top tell them apart.
func (c *collector) collectProcesses(found chan<- prometheus.Metric) {
	var stopping, workers, busy, most, fewest int
	processes := c.backend.Processes()
	first := true
	for _, p := range processes {
		busy += min(p.InFlight, p.Workers)
		if p.Stopping {
			stopping++
			continue
		}
		workers += p.Workers
		most = max(most, p.Connections)
		if first || p.Connections < fewest {
			fewest = p.Connections
		}
		first = false
	}
	for _, m := range []prometheus.Metric{
		gauge("catenary_rails_processes", "Rails processes with a link.", len(processes)),
		gauge("catenary_rails_processes_stopping", "Of these, those that are stopping.", stopping),
		gauge("catenary_rails_workers", "Calls that all the others run at once.", workers),
		gauge("catenary_rails_workers_busy", "Calls that Rails processes are running.", busy),
		gauge("catenary_rails_connections_max", "Connections of the Rails process that holds the most.", most),
		gauge("catenary_rails_connections_min", "Connections of the Rails process that holds the fewest.", fewest),
		gauge("catenary_calls_by_post", "1 while calls go to Rails by POST because no link can be had.", truth(c.backend.Transport() == rpc.Post)),
	} {
		found <- m
	}
}

func truth(is bool) int {
	if is {
		return 1
	}
	return 0
}

func gauge(name, help string, value int) prometheus.Metric {
	return prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, float64(value))
}

func counter(name, help string, value float64) prometheus.Metric {
	return prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, value)
}

func counters(found chan<- prometheus.Metric, name, help, label string, values map[string]int64) {
	description := prometheus.NewDesc(name, help, []string{label}, nil)
	for kind, value := range values {
		found <- prometheus.MustNewConstMetric(description, prometheus.CounterValue, float64(value), kind)
	}
}

func latencies(name, help string, l *stats.Latencies) prometheus.Metric {
	upTo, all := l.Buckets()
	return prometheus.MustNewConstHistogram(prometheus.NewDesc(name, help, nil, nil), all, l.Sum.Seconds(), upTo)
}

func (r *readiness) Describe(descriptions chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(r, descriptions)
}

// Collect tells of each part whether it is ready.
func (r *readiness) Collect(found chan<- prometheus.Metric) {
	description := prometheus.NewDesc("catenary_ready", "1 if the part is ready: rails answers, broadcasts arrive.", []string{"part"}, nil)
	for part, err := range map[string]error{"rails": r.rails.ready(), "broadcasts": r.broadcasts()} {
		value := 1.0
		if err != nil {
			value = 0
		}
		found <- prometheus.MustNewConstMetric(description, prometheus.GaugeValue, value, part)
	}
}
