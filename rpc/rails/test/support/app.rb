require "rails"
require "action_controller/railtie"
require "active_job/railtie"
require "action_cable/engine"
require "sidekiq"
require "catenary-rails"
require "stringio"

LOG = StringIO.new

# Records which callbacks have run.
module Journal
  extend self

  def add(*entry)
    entries << entry
  end

  def entries
    @entries ||= []
  end

  def clear
    entries.clear
  end
end

# Actions wait here until a test lets them continue.
Gate = Queue.new

# A record that is found by its id, without a database. 404 is not found, 500 raises.
class User
  include GlobalID::Identification
  attr_reader :id

  def initialize(id)
    @id = id
  end

  class NotFound < StandardError; end

  def self.find(id)
    raise NotFound, "Couldn't find User with 'id'=#{id}" if id.to_s == "404" || gone.include?(id.to_s)
    raise "the database is down" if id.to_s == "500"
    new(id.to_s)
  end

  def self.gone
    @gone ||= []
  end
end

# The tenant whose records are found on this thread.
module Tenant
  mattr_accessor :left, default: [] # by switch, in order

  def self.current
    Thread.current[:tenant] || "public"
  end

  def self.switch(tenant)
    before, Thread.current[:tenant] = Thread.current[:tenant], tenant
    yield
  ensure
    left << tenant
    Thread.current[:tenant] = before
  end
end

# A record whose id exists in every tenant.
class Member
  include GlobalID::Identification
  attr_reader :id, :tenant

  mattr_accessor :created, default: { "public" => Time.utc(2020), "acme" => Time.utc(2021) } # by tenant
  mattr_accessor :searches, default: []

  def self.find(id)
    searches << id.to_s
    raise User::NotFound, "there is no member #{id} of #{Tenant.current}" if id.to_s == "404" || User.gone.include?(id.to_s)
    new(id, Tenant.current)
  end

  def initialize(id, tenant)
    @id, @tenant = id.to_s, tenant
  end

  def created_at
    created[tenant]
  end
end

# A record whose Global ID contains the tenant.
class Guest < Member
  def to_global_id(options = {})
    super(options.merge(app: "guests", tenant: tenant))
  end
end
GlobalID::Locator.use("guests") { |gid| Guest.new(gid.model_id, gid.params["tenant"]) unless User.gone.include?(gid.model_id) }

class Current < ActiveSupport::CurrentAttributes
  attribute :user
end

module TestApp
  class Application < ::Rails::Application
    config.root = File.expand_path("..", __dir__)
    config.load_defaults "#{::Rails::VERSION::MAJOR}.#{::Rails::VERSION::MINOR}"
    config.eager_load = false
    config.consider_all_requests_local = false
    config.action_dispatch.show_exceptions = ::Rails.version >= "7.1" ? :all : true
    config.secret_key_base = "0123456789abcdef" * 8
    config.logger = ActiveSupport::TaggedLogging.new(Logger.new(LOG))
    config.log_level = :debug
    config.hosts << "app.test" << "127.0.0.1"
    config.session_store :cookie_store, key: "_test_session"
    config.action_cable.cable = { "adapter" => "redis", "url" => REDIS.url, "channel_prefix" => "test" }.with_indifferent_access
    config.action_cable.allowed_request_origins = ["http://app.test"]
    config.action_cable.log_tags = ["cable", ->(request) { request.path }]
    config.action_dispatch.rescue_responses["User::NotFound"] = :not_found
    config.active_job.queue_adapter = :test
    config.i18n.available_locales = %i[en fr]
    config.catenary.live_limit = 50
    config.catenary.identify = [:current_user]
    routes.append do
      get "login" => ->(env) { env["rack.session"]["user_id"] = env["QUERY_STRING"]; [200, {}, ["hello"]] }
      get "up" => ->(_env) { [200, {}, ["up"]] }
    end
  end
end

ActionCable.server.config # runs the on_load hooks

module ApplicationCable
  class Connection < ActionCable::Connection::Base
    identified_by :current_user
    attr_reader :visits

    if respond_to?(:before_command) # Rails 7.1
      before_command { Journal.add :before_command }
      around_command { |_, command| in_tenant { command.call } }
    else
      def dispatch_websocket_message(*)
        in_tenant { super }
      end
    end
    rescue_from(Catenary::Rails::Lost) { |error| Journal.add :rescued, error.message }
    rescue_from(KeyError) { |error| Journal.add :rescued, error.message }

    def connect
      Journal.add :connect, Current.user
      raise "connect failed" if request.params[:raise]
      reject_unauthorized_connection if request.params[:reject]
      id = request.params[:user] || request.session[:user_id] || cookies[:user]
      self.current_user = User.new(id) if id
      self.current_user = Mutex.new if request.params[:unkeepable]
      join_tenant if request.params[:tenant]
      @visits = 0
      logger.add_tags "user-#{id}"
      Journal.add :upgrade, request.headers["HTTP_UPGRADE"]
      Thread.new { transmit({ type: "from a thread" }) } if request.params[:thread]
      transmit({ type: "hello", protocol: protocol, ip: request.remote_ip }) if request.params[:hello]
    end

    def disconnect
      Journal.add :disconnect, current_user.try(:id)
    end

    def visit
      @visits += 1
    end

    # The tenant to which a worker callback switches, or nil.
    def tenant_at_work
      @tenant if request.params[:at] == "work"
    end

    private
      def join_tenant
        @tenant = request.params[:tenant]
        @landlord = User.new(@tenant)
        self.current_user = Tenant.switch(@tenant) { (request.params[:guest] ? Guest : Member).find(request.params[:guest] || request.params[:member]) }
      end

      def first_only
        raise "a callback failed" if @commanded
        @commanded = true
        yield
      end

      def in_tenant(&command)
        case request.params[:at]
        when "command"  then Tenant.switch(@tenant, &command)
        when "variable" then Tenant.switch(@landlord.id, &command)
        when "replaced" then Tenant.switch(@tenant) { self.current_user = Member.new(SecureRandom.hex(2), @tenant); yield }
        when "first"    then first_only(&command)
        when "reader"   then Tenant.switch(current_user.tenant, &command)
        else yield
        end
      end
  end
end

class ApplicationChannel < ActionCable::Channel::Base
end

class EchoChannel < ApplicationChannel
  periodically :beat, every: 2.seconds
  periodically(every: 0.5) { transmit({ block: params[:room] }) }
  rescue_from(ArgumentError) { |error| transmit({ rescued: error.message }) }
  after_subscribe { Journal.add :after_subscribe, identifier }

  def subscribed
    stream_from "echo"
    stream_for current_user if current_user
    @started = Time.utc(2020)
    transmit({ early: true }) if params[:early]
  end

  def unsubscribed
    Journal.add :unsubscribed, identifier, Current.user
  end

  def echo(data)
    Current.user = "leaked"
    transmit data.except("action")
  end

  def remember(data)
    @memory = data["value"]
    @set = Set[1, :two]
    @when = 5.minutes
    @friend = User.new(data["friend"]) if data["friend"]
    @self = self
  end

  def recall
    transmit({ memory: @memory, set: @set&.to_a, when: @when, started: @started, friend: @friend&.id, self: @self.equal?(self),
      visits: connection.visit, user: current_user&.id })
  end

  def keep_proc
    @proc = -> { 1 }
  end

  def keep_lists
    @lists = Hash.new { |lists, name| lists[name] = [] }
    @lists["a"] << 1
  end

  def recall_lists
    transmit({ lists: @lists, missing: @lists["b"] })
  end

  def keep_much
    @much = "x" * 100_000
  end

  def keep_much_in_the_connection
    connection.instance_variable_set(:@much, "x" * 100_000)
  end

  def has_proc
    transmit({ proc: @proc.class.name })
  end

  def trace
    transmit({ traceparent: connection.send(:request).headers["traceparent"] })
  end

  def fail_with_argument
    raise ArgumentError, "bad"
  end

  def fail
    raise "an action failed"
  end

  def fail_key
    raise KeyError, "no key"
  end

  def follow(data)
    stream_from data["stream"]
  end

  def follow_bytes(data)
    stream_from [data["hex"]].pack("H*")
  end

  def unfollow(data)
    stop_stream_from data["stream"]
  end

  def stop_everything
    stop_all_streams
  end

  def end_it
    connection.close
  end

  def later
    Thread.new do
      sleep 0.05
      transmit({ later: true })
      stream_from "later"
    end
  end

  def slow(data)
    transmit({ slow: 1 })
    sleep data["seconds"]
    transmit({ slow: 2 })
  end

  # As with thousands of connections on a busy machine.
  def hand_over_slowly
    Catenary::Rails::Handover.prepend(Module.new do
      def hand_over_all(link)
        sleep 6
        super
      end
    end)
  end

  def fork_and_exit
    child = fork { exit }
    Process.wait(child)
    transmit({ child: child })
  end

  def tokens
    3.times { |n| transmit({ token: n }) }
    Gate.pop
  end

  private
    def beat
      transmit({ beat: params[:room] })
    end
end

class MemberChannel < ApplicationChannel
  periodically :who, every: 3

  def subscribed
    @friend = Member.find(params[:friend] || "2")
    @friends = { "all" => [Member.find("3")] } if params[:friends]
  end

  def unsubscribed
    Journal.add :unsubscribed, @friend&.tenant
  end

  def who
    transmit({ user: current_user.tenant, friend: @friend.tenant, friends: @friends&.fetch("all")&.map(&:tenant), tenant: Tenant.current })
  end

  def keep_gid
    @gid = current_user.to_gid(tenant: "acme")
  end

  def recall_gid
    transmit({ gid: @gid.to_s })
  end
end

class RejectChannel < ApplicationChannel
  def subscribed
    reject
  end
end

class AbortChannel < ApplicationChannel
  before_subscribe { throw :abort }
end

class ZombieChannel < ApplicationChannel
  def subscribed
    stream_from "zombie"
    raise "subscribed failed"
  end

  def speak
    transmit({ alive: true })
  end
end

class FaultyChannel < ApplicationChannel
  periodically(every: 5) { raise "a fault of the timer" }

  def subscribed
    stream_from("faulty") { raise "a fault of the block" }
  end

  def unsubscribed
    raise "a fault of unsubscribed"
  end
end

class BlockChannel < ApplicationChannel
  def subscribed
    @seen = 0
    stream_from("raw") { |payload| transmit({ raw: payload, seen: @seen += 1 }) }
    stream_from "decoded", coder: ActiveSupport::JSON do |message|
      transmit({ decoded: message })
    end
    stream_from "method", method(:heard)
    stream_from("failing") { raise "a block failed" }
    stream_from "plain", coder: ActiveSupport::JSON
  end

  def unfollow(data)
    stop_stream_from data["stream"]
  end

  private
    def heard(payload)
      transmit({ heard: payload })
    end
end

# Broadcasts what it receives.
class ForwardChannel < ApplicationChannel
  def subscribed
    stream_from("forwarded") { |payload| ActionCable.server.broadcast("gate", payload) }
  end
end

# Adds a stamp to every message, including broadcasts.
class StampedChannel < ApplicationChannel
  def subscribed
    stream_from "stamped"
  end

  private
    def transmit(data, via: nil)
      super({ stamp: 1 }.merge(data), via: via)
    end
end

# Actions whose effects only a link delivers in time and in order.
class GateChannel < ApplicationChannel
  def subscribed
    stream_from "gate"
  end

  def hold
    transmit({ held: true })
    Gate.pop
    transmit({ released: true })
  end

  def pass
    Gate.pop
  end

  def announce(data)
    transmit({ first: data["n"] })
    ActionCable.server.broadcast("gate", { second: data["n"] })
  end

  def broadcast_only
    ActionCable.server.broadcast("gate", { alone: true })
  end

  def enqueue
    transmit({ first: true })
    AnnounceJob.perform_later
  end

  def enqueue_many
    transmit({ first: true })
    ActiveJob.perform_all_later(AnnounceJob.new)
  end

  def push
    transmit({ first: true })
    AnnounceWorker.perform_async
  end

  def leave
    transmit({ bye: true })
    ActionCable.server.remote_connections.where(current_user: connection.current_user).disconnect
  end

  def announce_later
    Thread.new do
      Gate.pop
      transmit({ first: true })
      ActionCable.server.broadcast("gate", { second: true })
    end
  end

  def much(data)
    transmit({ much: "x" * data["bytes"] })
  end

  def spawn_child
    read, write = IO.pipe
    pid = fork do
      write.close
      read.read # until the test ends
      exit!
    end
    read.close
    Journal.add :child, pid, write
  end

  def die
    Thread.current.kill
  end

  def translate
    I18n.locale = :fr
    transmit({ thread: Thread.current.name })
  end
end

class WaitChannel < ApplicationChannel
  def wait(data)
    transmit({ waiting: true })
    sleep data["seconds"]
    @waited = true
    transmit({ waited: true })
  end
end

class AnnounceJob < ActiveJob::Base
  def perform
    Journal.add :performed
  end
end

require "sidekiq/api"
Sidekiq.configure_client { |config| config.redis = { url: REDIS.url } }

class AnnounceWorker
  include Sidekiq::Worker

  def perform
  end
end

class SlowChannel < ApplicationChannel
  def subscribed
    stream_from "slow"
    sleep 0.3
    transmit({ done: true })
  end
end

ActionCable::Server::Worker.set_callback :work, :around do |worker, work|
  connection = worker.connection
  connection = connection.connection if connection.respond_to?(:connection) # Rails 8.2
  tenant = connection.tenant_at_work
  tenant ? Tenant.switch(tenant, &work) : work.call
end

::Rails.application.initialize!
