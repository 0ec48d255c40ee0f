package metrics

import (
	"github.com/catenary-cable/catenary/cable"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/cable/lease"
	"github.com/catenary-cable/catenary/cable/stats"
	"github.com/catenary-cable/catenary/cmd/catenary/broadcasts"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/prometheus/client_golang/prometheus"
)

// collector turns the counters of the server, the hub, the lease and the client of Rails into
// metrics at each scrape.
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
		gauge("catenary_draining", "1 while catenary is stopping.", truth(server.Draining)),
		gauge("catenary_nodes", "Nodes that have a lease in this Redis, including this one.", len(nodes.Others)+truth(nodes.Held)),
		gauge("catenary_lease", "1 while other nodes would run this one's disconnect callbacks if it were killed.", truth(nodes.Held)),
		gauge("catenary_lease_records", "Connections whose record is in Redis for other nodes.", nodes.Records),
		gauge("catenary_lease_records_pending", "Connections whose latest record is not in Redis yet.", nodes.Pending),
		gauge("catenary_connections", "Connections, including those whose disconnect callback is pending.", server.Connections),
		gauge("catenary_connections_stale", "Connections whose latest state only their Rails process has: if it is killed now, they must reconnect.", server.Stale),
		gauge("catenary_handshakes", "Handshakes in flight.", server.Handshakes),
		gauge("catenary_subscriptions", "Subscriptions.", server.Subscriptions),
		gauge("catenary_users", "Distinct connection_identifiers of the connections.", hub.Users),
		gauge("catenary_catch_ups_pending", "Refreshes of Turbo's pages that wait for their turn.", server.Refreshes),
		gauge("catenary_slow_browsers", "Browsers with unsent data.", server.Backlog.Browsers),
		gauge("catenary_queued_bytes", "Bytes of unsent data.", server.Backlog.Bytes),
		gauge("catenary_streams", "Streams with members on this node, including catenary's own.", hub.Streams),
		gauge("catenary_calls_in_flight", "Calls sent to Rails and not answered yet.", inFlight),
		gauge("catenary_calls_limit", "Calls that may be in flight at once now.", c.backend.Limit()),
		gauge("catenary_calls_waiting", "Calls that wait for a worker.", waiting),

		counter("catenary_nodes_taken_over_total", "Nodes that stopped renewing their lease and were taken over by this one.", float64(nodes.NodesTakenOver)),
		counter("catenary_connections_taken_over_total", "Connections of such nodes whose callbacks this one has run.", float64(nodes.ConnectionsTakenOver)),
		counter("catenary_connections_opened_total", "Connections opened.", float64(server.Opened)),
		counter("catenary_handshakes_rejected_by_rails_total", "Handshakes that Rails has rejected.", float64(server.RejectedByRails)),
		counter("catenary_commands_repeated_total", "Subscribes repeated by browsers that are subscribed, which cost no call.", float64(server.Repeated)),
		counter("catenary_disconnects_lost_total", "Disconnect callbacks that Rails did not run, or may not have run.", float64(server.DisconnectsLost)),
		counter("catenary_broadcasts_received_total", "Broadcasts received for streams with members, including catenary's own.", float64(hub.Broadcasts)),
		counter("catenary_broadcasts_unnumbered_total", "Broadcasts on streams with a history that have no number, and are not kept.", float64(hub.Unnumbered)),
		counter("catenary_broadcasts_invalid_total", "Broadcasts dropped as invalid JSON, as Rails does.", float64(hub.Invalid)),
		counter("catenary_deliveries_total", "Frames of broadcasts written or queued for browsers.", float64(hub.Deliveries)),
		counter("catenary_pings_total", "Pings written or queued for browsers.", float64(server.Pings)),
		counter("catenary_rails_links_opened_total", "Links opened to Rails processes.", float64(c.backend.LinksOpened())),
		counter("catenary_rails_warnings_total", "Warnings that Rails has sent with its answers.", float64(server.Warnings)),
		latencies("catenary_broadcast_seconds", "Seconds from a broadcast's arrival at catenary to its last write to a socket.", &hub.Latencies),
		latencies("catenary_stream_subscribe_seconds", "Seconds from a stream's first member to the acknowledgement by Redis, or by the Rails process that listens.", &hub.Subscribes),
		latencies("catenary_queue_seconds", "Seconds from the first frame queued for a browser until its queue was empty.", &server.Backlog.Lasted),
	} {
		found <- m
	}
	c.collectProcesses(found)
	collectChannels(found, server.Channels)
	counters(found, "catenary_connections_ended_total", "Connections closed, by reason.", "reason", server.Ends)
	counters(found, "catenary_handshakes_rejected_total", "Handshakes that catenary has rejected, by reason.", "reason", server.Rejected)
	counters(found, "catenary_histories_total", "Histories that browsers asked for, by outcome.", "outcome", server.Histories)
	counters(found, "catenary_catch_ups_total", "Stamped pages of Turbo's, by outcome.", "outcome", server.CatchUps)
	counters(found, "catenary_commands_total", "Commands of browsers, by kind.", "kind", server.Commands)
	counters(found, "catenary_subscriptions_rejected_total", "Subscribes over a limit, by limit.", "limit", server.SubscriptionsRejected)
	counters(found, "catenary_commands_throttled_total", "Times that a browser was read later because it was over a limit, by limit.", "limit", server.Throttled)
}

// collectProcesses adds up Rails' processes. Each restart has new ones, so none has a series of its
// own; the status page and top show each.
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
		gauge("catenary_rails_workers", "Calls that the others run at once.", workers),
		gauge("catenary_rails_workers_busy", "Calls that Rails processes are running.", busy),
		gauge("catenary_rails_connections_max", "Connections of the Rails process that holds the most.", most),
		gauge("catenary_rails_connections_min", "Connections of the Rails process that holds the fewest.", fewest),
		gauge("catenary_calls_by_post", "1 while calls go to Rails by POST because it accepts no link.", truth(c.backend.Transport() == rpc.Post)),
	} {
		found <- m
	}
}

// collectChannels reports what happens to channels by class.
func collectChannels(found chan<- prometheus.Metric, channels map[string]stats.ChannelCounts) {
	rejections, exceptions := map[string]int64{}, map[string]int64{}
	subscriptions := prometheus.NewDesc("catenary_channel_subscriptions", "Confirmed subscriptions, by channel.", []string{"channel"}, nil)
	for class, counts := range channels {
		found <- prometheus.MustNewConstMetric(subscriptions, prometheus.GaugeValue, float64(counts.Subscriptions), class)
		rejections[class] = counts.Rejections
		exceptions[class] = counts.Exceptions
	}
	counters(found, "catenary_channel_rejections_total", "Subscriptions that channels have rejected, by channel.", "channel", rejections)
	counters(found, "catenary_channel_exceptions_total", "Exceptions in channels that no rescue_from has handled, by channel.", "channel", exceptions)
}

func truth(b bool) int {
	if b {
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

// partsCollector reports for each part whether it is ready.
type partsCollector struct{ Readiness }

func (p partsCollector) Describe(descriptions chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(p, descriptions)
}

func (p partsCollector) Collect(found chan<- prometheus.Metric) {
	description := prometheus.NewDesc("catenary_ready", "1 if the part is ready: rails answers, broadcasts arrive.", []string{"part"}, nil)
	for part, err := range p.Parts() {
		found <- prometheus.MustNewConstMetric(description, prometheus.GaugeValue, float64(truth(err == nil)), part)
	}
}

// gapsCollector reports gaps.
type gapsCollector struct{ *broadcasts.Gaps }

func (g gapsCollector) Describe(descriptions chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(g, descriptions)
}

func (g gapsCollector) Collect(found chan<- prometheus.Metric) {
	count, seconds, _ := g.Total()
	found <- counter("catenary_broadcast_gaps_total", "Gaps in which broadcasts may have been missed, because the connection to Redis, or to the Rails process that listened, was lost.", float64(count))
	found <- counter("catenary_broadcast_gap_seconds_total", "Seconds of these gaps, including an open one.", seconds.Seconds())
}
