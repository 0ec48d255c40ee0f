require "minitest"
require "redis"
require "tmpdir"

# A Redis server on a free port, which stops with the tests.
class RedisServer
  attr_reader :port

  # A node that is a whole Cluster.
  def self.cluster
    bus = TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }
    new("--cluster-enabled", "yes", "--cluster-port", bus.to_s, "--cluster-config-file", "nodes-#{bus}.conf").tap do |node|
      node.client.call %w[CLUSTER ADDSLOTSRANGE 0 16383]
      sleep 0.02 until node.client.call(%w[CLUSTER INFO]).include?("cluster_state:ok")
    end
  end

  def initialize(*arguments)
    @folder = Dir.mktmpdir
    @port = TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }
    @pid = spawn("redis-server", "--port", @port.to_s, "--bind", "127.0.0.1", "--save", "", "--dir", @folder, *arguments, %i[out err] => File::NULL)
    Minitest.after_run { stop } # not at_exit, which may come before the tests if another file has loaded them
    wait
  end

  def url
    "redis://127.0.0.1:#{port}/0"
  end

  def client
    Redis.new(url: url)
  end

  # Returns the first payloads that are published on the topic while and after the block runs.
  def published(topic, count: 1, seconds: PATIENCE)
    payloads, ready, connection = Queue.new, Queue.new, client
    listener = Thread.new do
      connection.subscribe(topic) do |on|
        on.subscribe { ready << true }
        on.message { |_, payload| payloads << payload }
      end
    end
    ready.pop
    yield
    Timeout.timeout(seconds, nil, "fewer than #{count} payloads on #{topic}") { Array.new(count) { JSON.parse(payloads.pop) } }
  ensure
    listener&.kill
    connection&.close
  end

  private
    def wait
      Timeout.timeout(PATIENCE, nil, "redis-server does not answer on port #{port}") do
        client.ping
      rescue Redis::CannotConnectError
        sleep 0.02
        retry
      end
    end

    def stop
      Process.kill(:TERM, @pid)
      Process.wait(@pid)
      FileUtils.remove_entry @folder
    end
end
