require_relative "test_helper"
require "catenary/rails/audit"
require "action_cable/subscription_adapter/inline"
require "ostruct"
require_relative "support/audited"

# What the audit reads in channels and connections. What it reports of a whole application is in audit_report_test.rb.
class AuditTest < Minitest::Test
  include Audited

  STREAMS = {
    "stream_from 'a'" => nil,
    "stream_from(\"a_\#{params[:id]}\")" => nil,
    "stream_for room if room" => nil,
    "stream_from 'a', nil, coder: ActiveSupport::JSON" => nil,
    "stream_from 'a', coder: ::ActiveSupport::JSON" => nil,
    "stream_from 'a', coder: nil" => nil,
    "rooms.each { |room| stream_for room }" => nil,
    "rooms.each do |room|\n stream_for room\nend" => nil,
    "stream_from name { 1 }" => nil, # the block is name's
    "# stream_from('a') { |m| m }" => nil,
    "<<~TEXT\n  stream_from('a') { |m| m }\nTEXT" => nil,
    "stream_from('a') { |m| transmit m }" => "stream_from with a block",
    "stream_from 'a' do |m|\n transmit m\nend" => "stream_from with a block",
    "stream_from 'a', coder: ActiveSupport::JSON do |m|\n transmit m\nend" => "stream_from with a block",
    "stream_for room, coder: ActiveSupport::JSON, &block" => "stream_for with a block",
    "stream_for room, ->(m) { transmit m }" => "stream_for with a callback",
    "stream_from('a', method(:received))" => "stream_from with a callback",
    "stream_for(room, lambda { |m| m }) if x" => "stream_for with a callback",
    "stream_from 'a',\n  coder: Msgpack::Coder" => "stream_from with coder Msgpack::Coder",
    "self.stream_from 'a', :coder => MyCoder" => "stream_from with coder MyCoder",
    "stream_from 'a', **options" => "stream_from with arguments that only Ruby knows",
    "stream_from(*arguments)" => "stream_from with arguments that only Ruby knows",
    "stream_or_reject_for room do |m|\nend" => "stream_or_reject_for with a block",
    "\"\#{stream_from('a') { |m| m }}\"" => "stream_from with a block",
    "ActionCable.server.pubsub.subscribe('a', ->(m) { transmit m })" => "pubsub.subscribe"
  }

  def test_streams_that_only_ruby_can_deliver
    STREAMS.each do |code, expected|
      audited = channel("def subscribed\n#{code}\nend")
      assert_equal [expected].compact, audited.findings.map(&:code), code
      assert_equal expected ? "pinned" : "plain", runs(audited), code
    end
  end

  def test_streams_that_others_open_for_a_channel
    queries = { "app/models/queries.rb" => "class Queries\n def self.add(channel)\n  ActionCable # speaks of it\n  channel.stream_from('q') { |m| m }\n end\nend" }
    { "Queries.add(self)" => true, "Queries.add self" => true, "Queries.instance.add(channel: self)" => true, "Queries.add(self.class)" => false,
      "Queries.add(current_user.channel)" => false }.each do |code, pinned|
      assert_found ("stream blocks:3 Queries gets the channel" if pinned), channel("def subscribed\n#{code}\nend", queries).findings, code
    end
    assert_found "stream blocks:4 stream_from with a block", elsewhere(queries)
  end

  def test_who_sees_messages_on_their_way
    audited = channel("def transmit(data, via: nil)\n super\nend\ndef self.transmit(data)\nend\nprivate\ndef stream_handler(*)\n super\nend")
    assert_found ["delivery:2 def transmit", "delivery:8 def stream_handler"], audited.findings
    assert_equal "pinned", runs(audited)
    assert_found [], channel("def self.transmit(data)\nend").findings
    assert_found "delivery:2 def transmit", connection("def transmit(m) = super").findings
  end

  def test_what_is_prepended_or_made_by_metaprogramming
    assert_found "delivery:2 def transmit", channel("prepend(Module.new { define_method(:transmit) { |data, via: nil| super(data, via: via) } })").findings
    assert_found "timers:1 periodically every: 3", channel("send :periodically, :tick, every: 3").findings
  end

  def test_overridden_hooks
    audited = connection("def beat = super\ndef receive(message) = super\ndef on_close(*) = super\nprivate def handle_open = super\ndef connect\nend\ndef disconnect\nend")
    expected = ["heartbeat:2 def beat", "overridden:4 def on_close", "overridden:5 def handle_open"]
    expected.insert 1, "overridden:3 def receive" if ActionCable::Connection::Base.method_defined?(:receive)
    assert_equal expected, told(audited.findings) & expected
    assert_equal "timers", runs(audited)
    assert_includes audited.findings.find { |finding| finding.code == "def on_close" }.means, "1006"
    assert_found "overridden:2 def initialize", channel("def initialize(*) = super").findings
  end

  def test_graphql_pins_channels_that_give_themselves_to_a_schema_over_action_cable
    execute = "def execute(data)\n AppSchema.execute(data['query'], context: { channel: self, current_user: current_user })\n end"
    { "use GraphQL::Subscriptions::ActionCableSubscriptions, redis: 1" => true, "use GraphQL::AnyCable, broadcast: true" => false }.each do |schema, pinned|
      files = { "app/graphql/app_schema.rb" => "class AppSchema < GraphQL::Schema\n #{schema}\nend" }
      assert_found ("graphql-ruby:3 channel: self" if pinned), channel(execute, files).findings, schema
      assert_found ("graphql-ruby:2 GraphQL::Subscriptions::ActionCableSubscriptions" if pinned), elsewhere(files), schema
    end
    audited = channel("def execute(data)\n c = { :channel => self }\n c[:channel] = self\nend",
      "lib/subs.rb" => "class Subs < ::GraphQL::Subscriptions::ActionCableSubscriptions\nend")
    assert_found ["graphql-ruby:3 channel: self", "graphql-ruby:4 channel: self"], audited.findings
  end

  KEPT = {
    "@a = 1" => nil, "@a = Room.find(1)" => nil, "@a = params[:a]" => nil, "@a ||= {}" => nil, "@a = Set.new" => nil, "@a = Room.new" => nil,
    "@a == Mutex.new" => nil, "@a = Mutex" => nil, "a = Mutex.new" => nil, "@a = File.read('x')" => nil, "@a = File.open('x').read" => nil,
    "@a = Mutex.new" => "a Mutex",
    "@a ||= Thread::Mutex.new" => "a Thread::Mutex",
    "@a = ::Monitor.new if x" => "a Monitor",
    "@a = Thread.new do\n 1\nend" => "a Thread",
    "@a = Thread.new { 1 }.value" => nil,
    "@a = File.open('x')" => "a File",
    "@a = x ? nil : Queue.new" => "a Queue",
    "@a = @b || (SizedQueue.new(1))" => "a SizedQueue",
    "@a = StringIO.new" => "a StringIO",
    "@a = -> { 1 }" => "a Proc",
    "@a = ->(x) do\n 1\nend" => "a Proc",
    "@a = lambda { |x| 1 }" => "a Proc",
    "@a = proc do\n 1\nend" => "a Proc",
    "@a = Proc.new { 1 }" => "a Proc",
    "@a = -> { 1 }.call" => nil,
    "@a = method(:b)" => "a Method",
    "@a = method(:b).call" => nil,
    "@a = Hash.new { |h, k| h[k] = [] }" => "Hash.new with a block",
    "@a = Hash.new(0)" => nil,
    "@a = Concurrent::AtomicFixnum.new" => "a Concurrent::AtomicFixnum",
    "@a = Concurrent::Map.new" => nil,
    "@a = Concurrent::Map.new { |m, k| 1 }" => "a Concurrent::Map",
    "@a = Concurrent::TimerTask.execute(execution_interval: 1) { 1 }" => "a Concurrent::TimerTask",
    "@a = Room.where(a: 1)" => "a relation",
    "@a = current_user.rooms\n  .where(a: 1)\n  .order(:id)" => "a relation",
    "@a = Room.all" => "a relation",
    "@a = Room.where(a: 1).load" => "a relation",
    "@a = Room.where.not(a: 1)" => "a relation",
    "@a = Room.where(a: 1) || []" => "a relation",
    "@a = Room.where(a: 1).to_a" => nil,
    "@a = Room.where(a: 1).map { |r| r.id }" => nil,
    "@a = Room.where(a: 1)[0]" => nil,
    "@a = YAML.load(x)" => nil,
    "@a = list.all" => nil,
    "@a = Room.where(a: 1).count + 1" => nil,
    "@a, @b = PTY.spawn('sh')" => "a PTY",
    "@a = @b = Mutex.new" => "a Mutex",
    "@b, @a = 1, Queue.new" => "a Queue",
    "list.each { |x| @a = Queue.new }" => "a Queue"
  }

  def test_state_that_neither_jobs_nor_marshal_can_write
    KEPT.each do |code, kept|
      audited = channel("def subscribed\n#{code}\nend")
      assert_code ("@a = #{kept}" if kept), first("unserialisable state", audited), code
      assert_equal kept ? "live state" : "plain", runs(audited), code
    end
  end

  def test_state_of_objects_and_not_of_classes
    assert_found [], channel("@lock = Mutex.new\nLOCK = Mutex.new\nclass << self\n def lock\n  @lock ||= Mutex.new\n end\nend\ndef self.other\n @lock = Mutex.new\nend").findings
    assert_found ["unserialisable state:2 @lock = a Mutex", "unserialisable state:4 @b = a Queue"],
      channel("before_subscribe { @lock = Mutex.new }\non_subscribe do\n @a, @b = 1, Queue.new\nend").findings
    assert_found "unserialisable state:4 @lock = a Mutex",
      channel("attr_accessor :lock\ndef subscribed\n self.lock = Mutex.new\n self.other = Mutex.new\nend").findings
    assert_found ["unserialisable state:2 @lock = a Mutex", "unserialisable state:3 @a = a Queue"],
      channel("def lock = @lock ||= Mutex.new\ndef many = list.each { |x| @a = Queue.new }\n@b = Mutex.new").findings
  end

  def test_state_in_objects_of_the_applications
    files = {
      "app/models/desk.rb" => "class Desk\n def initialize(x)\n  @lock = Mutex.new\n end\nend",
      "app/models/paper.rb" => "class Paper\n LOCK = Mutex.new\n def initialize\n  @text = ''\n end\nend",
      "app/models/own.rb" => "class Own\n def lock = @lock ||= Mutex.new\n def marshal_dump = []\nend"
    }
    { "@a = Desk.new(1)" => "@a = a Desk, which keeps a Mutex", "@a = Desk.new(1).name" => nil, "@a = Paper.new" => nil, "@a = Own.new" => nil,
      "@a = Clerk.new(self)" => "@a = a Clerk, which is given the channel", "@a ||= Clerk.new(for: self)" => "@a = a Clerk, which is given the channel",
      "@a = Clerk.new(self.class)" => nil }.each do |code, expected|
      assert_equal [expected].compact, channel("def subscribed\n#{code}\nend", files).findings.map(&:code), code
    end
  end

  def test_state_of_a_helper_class_is_its_own
    assert_found [], channel("class Helper\n def initialize\n  @lock = Mutex.new\n end\nend").findings
  end

  CLASS_STATE = {
    "PRESENT = Hash.new(0)" => "PRESENT = a Hash",
    "PRESENT = Concurrent::Map.new" => "PRESENT = a Concurrent::Map",
    "SEEN = Set.new" => "SEEN = a Set",
    "LIMIT = 10" => nil,
    "KINDS = { a: 1 }" => nil,
    "KINDS = %w[a b].freeze" => nil,
    "NAMES = [].freeze" => nil,
    "@present = {}" => "@present = a Hash",
    "@@count = 0" => "@@count = a count",
    "def subscribed\n @@count += 1\nend" => "@@count = a count",
    "def subscribed\n $count += 1\nend" => "$count = a count",
    "def subscribed\n self.class.count += 1\nend" => "self.class.count = a count",
    "def subscribed\n @@seen ||= []\nend" => "@@seen = an Array",
    "def subscribed\n @@redis ||= Redis.new\nend" => nil,
    "def subscribed\n @present = {}\nend" => nil,
    "class << self\n def all\n  @all ||= {}\n end\nend" => "@all = a Hash",
    "def self.name\n @name ||= super.to_s\nend" => nil,
    "class_attribute :present, default: {}" => "present = a Hash",
    "cattr_accessor :online, default: 0" => "online = a count",
    "class_attribute :limit" => nil
  }

  def test_what_a_process_counts_or_collects_in_a_class
    CLASS_STATE.each { |code, expected| assert_code expected, first("class state", channel(code)), code }
    audited = channel("@@count = 0\ndef subscribed\n @@count += 1\nend\ndef unsubscribed\n @@count -= 1\nend")
    assert_found "class state:2 @@count = a count", audited.findings
    assert_equal "plain", runs(audited)
  end

  def test_identifiers_are_records_or_scalars
    models = "class User\n include GlobalID::Identification\nend\nclass Visitor\n include Comparable\nend\nclass Located\n def to_gid_param = 'x'\nend\n"
    { "User.find(1)" => nil, "request.params[:token]" => nil, "User.new" => nil, "Located.new" => nil, "Struct.new(:id).new(1)" => nil,
      "String.new('a')" => nil, "Unknown.new" => nil, "Visitor.new(1)" => "who = Visitor", "OpenStruct.new(id: 1)" => "who = OpenStruct", "-> { 1 }" => "who = a Proc",
      "User.where(id: 1)" => "who = a relation", "Mutex.new" => "who = a Mutex" }.each do |value, expected|
      audited = subject("AConnection", "app/channels/a_connection.rb" => "#{models}class AConnection < ActionCable::Connection::Base\nidentified_by :who\ndef connect\n self.who = #{value}\nend\nend")
      assert_code expected, first("identified_by", audited), value
      assert_equal [expected].compact, audited.findings.map(&:code), value
    end
  end

  def test_the_socket_is_out_of_reach
    ["connection.instance_variable_get(:@websocket)", "connection.instance_variable_get \"@websocket\"", "connection.send(:websocket)", "connection.websocket"].each do |code|
      audited = channel("def peek\n#{code}\nend")
      assert_found "@websocket:3 @websocket", audited.findings, code
      assert_equal "pass-through", runs(audited)
      assert_includes audited.findings.first.advice, "pass_through: [AChannel]"
    end
    assert_found [], channel("def peek\n connection.instance_variable_get(:@env)\n websocket\nend").findings
    assert audited = connection("def peek = @websocket")
    assert audited.findings.first.advice.start_with?("pass_through: all;")
  end

  def test_connections_are_not_rails
    audited = channel("def count\n transmit \"\#{ActionCable.server.connections.size} online\"\n ActionCable.server.remote_connections.where(user: 1).disconnect\nend")
    assert_found "server connections:3 ActionCable.server.connections", audited.findings
    assert_equal "cannot work", runs(audited)
    assert_found "server connections:3 ActionCable.server.connections", connection("def connect\n server.connections.each(&:close)\n end").findings
    assert_found ["server connections:3 open_connections_statistics", "server connections:4 ActionCable.server.connections"],
      elsewhere("app/controllers/stats_controller.rb" => "class StatsController\n def show\n  render json: ActionCable.server.open_connections_statistics\n  ActionCable.server.connections&.count\n  server.connections\n end\nend")
  end

  def test_timers_of_the_event_loop_never_fire
    audited = channel("def subscribed\n connection.server.event_loop.timer(3) { transmit(1) }\n connection.server.event_loop.post { 1 }\nend")
    assert_found "event loop:3 event_loop.timer", audited.findings
    assert_equal "cannot work", runs(audited)
  end

  def test_timers
    audited = channel("INTERVAL = 3\nperiodically :tick, every: 0.3\nperiodically(every: 5.seconds) { transmit(1) }\nperiodically :tick, every: INTERVAL\ndef tick\n periodically\nend")
    assert_found ["timers:3 periodically every: 0.3", "timers:4 periodically every: 5.seconds", "timers:5 periodically every: INTERVAL"], audited.findings
    assert_equal "timers", runs(audited)
  end

  LOOPS = {
    "loop do\n tick\n sleep 1\n break unless @run\nend" => true,
    "loop { sleep 1; tick }" => true,
    "while true\n sleep 1\nend" => true,
    "begin\n sleep 1\nend until false" => true,
    "loop do\n tick or break\nend" => false,
    "sleep 1 while busy?" => false,
    "Thread.new do\n loop do\n  sleep 1\n end\nend" => false,
    "Thread.new(a, (b)) do\n loop { sleep 1 }\nend" => false,
    "Thread.new { loop { sleep 1 } }" => false,
    "@task = Concurrent::Promises.future { loop { sleep 1 } }" => false,
    "3.times { sleep 1 }" => false
  }

  def test_endless_loops_keep_their_browser_waiting
    LOOPS.each { |code, found| assert_equal found, !first("endless loops", channel("def start\n#{code}\nend")).nil?, code }
  end

  def test_siblings_and_threads_are_no_trouble
    audited = channel("POOL = Thread.new { }\ndef later\n Thread.new { transmit 1 }\n Concurrent::Promises.future { transmit 2 }\n connection.subscriptions.identifiers\nend")
    assert_found ["threads:4 Thread.new", "threads:5 Concurrent::Promises.future", "subscriptions:6 connection.subscriptions"], audited.findings
    assert_equal "plain", runs(audited)
  end

  def test_callbacks_that_want_arguments
    assert_found "mistake:2 def disconnect with an argument", connection("def disconnect(reason)\nend").findings
    assert_found [], connection("def disconnect(reason = nil)\nend").findings
    assert_found "mistake:2 def subscribed with an argument", channel("def subscribed(data)\nend").findings
  end

  def test_actions_that_get_no_data
    assert_found ["mistake:2 def speak with an optional parameter", "mistake:4 def shout with more than data"],
      channel("def speak(data = {})\nend\ndef shout(data, loud = true)\nend\ndef say(data)\nend\ndef hush\nend\ndef helper(a, b)\nend").findings
  end

  def test_super_in_connect
    native = ActionCable::Connection::Base.method_defined?(:connect) # since Rails 8.2
    assert_found ("mistake:2 super in connect" unless native), connection("def connect\n super\nend").findings
    assert_found [], connection("include(Module.new { def connect\n end })\ndef connect\n super\nend").findings
  end

  REJECTS = {
    "reject unless ok?\nstream_from 'a'" => true,
    "if bad?\n log\n reject\nend\nstream_for room" => true,
    "reject\nrooms.each { |room| stream_for room }" => true,
    "return reject unless ok?\nstream_from 'a'" => false,
    "reject and return unless ok?\nstream_from 'a'" => false,
    "if bad?\n reject\n return\nend\nstream_from 'a'" => false,
    "if ok?\n stream_from 'a'\nelse\n reject\nend" => false,
    "stream_from 'a'\nreject if full?" => false,
    "reject unless ok?\nstream_from 'a' unless subscription_rejected?" => false,
    "reject unless ok?\nreturn if subscription_rejected?\nstream_for room" => false,
    "list.reject { |x| x }\nstream_from 'a'" => false
  }

  def test_reject_does_not_return
    REJECTS.each { |code, found| assert_code ("reject before a stream" if found), first("mistake", channel("def subscribed\n#{code}\nend")), code }
  end

  def test_rescue_from_is_not_for_subscribed
    handler = "rescue_from(KeyError) { reject }\n"
    audited = channel("#{handler}def subscribed\n stream_for Room.find(params[:id])\nend")
    assert_found "mistake:4 Room.find(...) in subscribed", audited.findings
    assert_includes audited.findings.first.means, "rescue_from (app/channels/a_channel.rb:2)"
    assert_found [], channel("#{handler}def subscribed\n stream_for Room.find(params[:id])\nrescue KeyError\n reject\nend").findings
    assert_nil first("mistake", channel("#{handler}def subscribed\n stream_from('a') { |m| raise m }\nend"))
    assert_found [], channel("#{handler}def subscribed\n stream_from params[:id]\nend\ndef act\n raise KeyError\nend").findings
    assert_found [], channel("def subscribed\n stream_for Room.find(params[:id])\nend").findings
  end

  def test_inheritance_and_concerns_are_followed
    ticking = "module Ticking\n extend ActiveSupport::Concern\n included do\n  periodically :tick, every: 3.seconds\n end\n def keep = @lock = Mutex.new\nend\n"
    audited = subject("AChannel",
      "app/channels/a_base.rb" => "#{ticking}class ABase < ActionCable::Channel::Base\n include Ticking, Comparable\nend", "app/channels/a_channel.rb" => "class AChannel < ABase\nend")
    assert_found ["timers:4 periodically every: 3.seconds", "unserialisable state:6 @lock = a Mutex"], audited.findings
    assert audited.findings.all? { |finding| finding.file.end_with?("/app/channels/a_base.rb") }
  end

  def test_what_does_not_parse_is_a_note
    application({ "app/models/broken.rb" => "class Broken # ActionCable\n foo(\nend" }) do |sources|
      assert_empty sources.suspects
      assert_equal ["broken.rb"], sources.broken.keys.map { |file| File.basename(file) }
    end
  end

  def test_adapters
    {
      "production:\n  adapter: redis\n  url: <%= ENV['X'] %>\n" => nil,
      "development:\n  adapter: any_cable\nproduction:\n  adapter: redis\n" => nil,
      "# nothing\n" => nil,
      "default: &default\n  adapter: any_cable\nproduction:\n  <<: *default\n" => ["cable.yml:2 adapter: any_cable", "cannot work"],
      "shared:\n  adapter: any_cable\nproduction:\n  url: redis://a\n" => ["cable.yml:2 adapter: any_cable", "cannot work"],
      "production:\n  adapter: async\n" => ["cable.yml:2 adapter: async", "plain"],
      "production:\n  adapter: sqlite_cable\n" => ["cable.yml:2 adapter: sqlite_cable", "plain"],
      "production:\n  adapter: own\n" => ["cable.yml:2 adapter: own", "plain"],
      "production:\n  adapter: deaf\n" => ["cable.yml:2 adapter: deaf", "cannot work"]
    }.each do |yml, (code, runs)|
      findings = elsewhere("config/cable.yml" => yml)
      assert_found code, findings, yml
      assert_code runs, findings.first&.runs, yml
    end
  end

  class Own < ActionCable::SubscriptionAdapter::Inline
  end

  class Deaf < ActionCable::SubscriptionAdapter::Base
  end

  def setup
    { Own: Own, Deaf: Deaf }.each do |name, type|
      ActionCable::SubscriptionAdapter.const_set name, type unless ActionCable::SubscriptionAdapter.const_defined?(name, false)
      $LOADED_FEATURES << "action_cable/subscription_adapter/#{name.to_s.downcase}.rb"
    end
  end

  def test_what_is_passed_through
    {
      "production:\n  pass_through: [AChannel]\n" => %w[AChannel],
      "production:\n  pass_through: BChannel, ::AChannel\n" => %w[BChannel AChannel],
      "shared:\n  pass_through: all\n" => %w[all],
      "shared:\n  pass_through: [AChannel]\nproduction:\n  pass_through: [BChannel]\n" => %w[BChannel],
      "development:\n  pass_through: [AChannel]\n" => [],
      "production:\n  listen: :1\n" => [],
      "production: [\n" => [], # catenary config says what is wrong with it
    }.each do |yml, expected|
      application("config/catenary.yml" => yml) { |sources| assert_equal expected, Audit::Application.new(sources.root).passed_through, yml }
    end
  end

  def test_what_is_reset_at_boot
    found = elsewhere("app/models/membership.rb" => "class Membership\nend",
      "config/puma.rb" => "workers 2\non_worker_boot do\n  Person.where(online: true).update_all(online: false)\n  ActiveRecord::Base.connection_pool.disconnect!\nend\n" \
        "before_fork { $redis.del('online') }\nMembership.disconnect_all\n\non_worker_shutdown { Person.delete_all }\n",
      "config/initializers/presence.rb" => "Rails.application.config.after_initialize { Presence.destroy_all }\nFile.unlink('x')\n" \
        "Push.on_delivery { |redis| redis.srem('a') }\ndef later = Presence.delete_all\n")
    assert_equal ["boot:1 Presence.destroy_all", "boot:3 Person.where(...).update_all(...)", "boot:6 $redis.del(...)", "boot:7 Membership.disconnect_all"], told(found).sort
  end

  # Every file of Ruby at hand can be read.
  def test_all_ruby_at_hand
    files = Dir.glob("#{__dir__}/../../../{rpc,testdata}/**/*.rb").reject { |file| file.include?("/node_modules/") }
    assert_operator files.size, :>, 20
    files.each { |file| assert_equal :file, Audit::Syntax.read(File.read(file), file).type }
  end
end
