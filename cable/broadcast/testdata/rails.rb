# A Rails process as it meets the embedded source: Action Cable with its own
# redis adapter, unmodified. It broadcasts, and it hears what others broadcast.
require "logger"
require "active_support/all"
require "action_cable"

server = ActionCable.server
server.config.logger = Logger.new(nil)
server.config.cable = { "adapter" => "redis", "url" => ARGV.fetch(0), "channel_prefix" => "app" }.with_indifferent_access

$stdout.sync = true
heard = Queue.new
subscribed = Queue.new
server.pubsub.subscribe("news", ->(message) { heard << message }, -> { subscribed << true })
subscribed.pop
server.broadcast("room", { a: 1, h: "<b>é&", f: 1.0 })
server.broadcast("room", nil)
puts "subscribed"
puts heard.pop
server.pubsub.shutdown
exit! 0
