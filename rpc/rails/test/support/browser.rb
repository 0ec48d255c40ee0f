# A browser as catenary sees it: remembers of its connection what catenary remembers.
class Browser
  include Minitest::Assertions
  include Calls

  attr_accessor :assertions, :traceparent
  attr_reader :last_call, :name, :result, :version, :state, :tags, :channels, :subscriptions

  # link: over which it calls; nil: by POST.
  def initialize(test, query = "", headers: {}, protocol: "actioncable-v1-json", url: nil, link: test.carrier)
    @assertions, @test, @link = 0, test, link
    @name = "c-#{SecureRandom.hex(4)}"
    headers = { "Host" => "app.test", "Origin" => "http://app.test", "Connection" => "Upgrade", "Upgrade" => "websocket",
      "Sec-WebSocket-Version" => "13", "Sec-WebSocket-Key" => "dGhlIHNhbXBsZSBub25jZQ==" }.merge(headers)
    @full = { request: { method: "GET", url: url || "http://app.test/cable#{query}", headers: headers.to_a, ip: "192.0.2.7" }, protocol: protocol }
    @subscriptions = {} # identifier => streams
    @states, @warnings = {}, []
  end

  def open
    call do: "open", **@full
  end

  def opened
    open
    assert_equal 200, result["status"], result.inspect
    self
  end

  def frames(*frames)
    call do: "frames", ver: version, frames: frames.map { |frame| frame.is_a?(String) ? frame : JSON.generate(frame) }
  end

  def subscribe(identifier)
    frames({ command: "subscribe", identifier: identifier })
  end

  def unsubscribe(identifier)
    frames({ command: "unsubscribe", identifier: identifier })
  end

  def perform(identifier, action, **data)
    frames({ command: "message", identifier: identifier, data: JSON.generate(data.merge(action: action)) })
  end

  # Over a link: begins an action. Returns the call's number, which is last_call too.
  def start(identifier, action, **data)
    frame = { command: "message", identifier: identifier, data: JSON.generate(data.merge(action: action)) }
    @last_call = @link.call(conn: name, do: "frames", ver: version, frames: [JSON.generate(frame)])
  end

  # Waits for the result of what was started.
  def finish
    @result = @link.result(last_call)
    learn
    result
  end

  def tick(identifier, timer)
    call do: "tick", ver: version, channel: identifier, timer: timer
  end

  def broadcast(identifier, stream, payload)
    call do: "message", ver: version, channel: identifier, stream: stream, payload: payload
  end

  # All that have come.
  def warnings
    handed_over if result["ver"]
    @warnings + (@link ? kept_frames.flat_map { |frame| frame["warnings"] || [] } : [])
  end

  def beat
    call do: "beat", ver: version
  end

  def close
    call do: "close", ver: version
  end

  # From the next call on the process has forgotten the connection; it is told everything.
  def forgotten
    handed_over
    still_forgotten
  end

  # Waits until it has all of the state. Returns where it stood: in what was handed over, or in the result.
  def handed_over
    return result if @link.nil?
    kept = result["kept"] ? result : @link.await_frame { |frame| frame["kept"] == name && frame["ver"] == version }
    learn_from kept_frames + [result]
    kept
  end

  def kept_frames
    @link.frames.select { |frame| frame["kept"] == name }
  end

  def still_forgotten
    @version, @forgotten = "b-other-1", true
    self
  end

  # Catenary has welcomed it, and tells what it is identified by.
  def identified(identities = { current_user: { gid: "gid://test-app/User/7" } })
    @full[:identities] = identities
    still_forgotten
  end

  # From now on the handshake has another address.
  def moved_to(url)
    @full[:request][:url] = url
  end

  # The messages of the last result's ops.
  def said
    ops("send").map { |_, frame| JSON.parse(frame)["message"] }
  end

  def ops(*kinds)
    result.fetch("ops").select { |kind,| kinds.empty? || kinds.include?(kind) }
  end

  def kinds
    ops.map(&:first)
  end

  private
    def call(**call)
      call = call.merge(@full, { state: state, tags: tags }.compact, channels: known) if @forgotten && call[:do] != "open"
      @forgotten = false
      call = { conn: name, traceparent: traceparent }.compact.merge(call)
      @result = @link ? @link.result(@last_call = @link.call(**call)) : super(**call)
      learn
      result
    end

    def known
      @subscriptions.to_h { |identifier, streams| [identifier, { state: @states[identifier], streams: streams }] }
    end

    def learn
      @version = result["ver"] if result["ver"]
      @tags = result["tags"] if result["tags"]
      @warnings.concat result["warnings"] || []
      result["ops"]&.each do |kind, identifier, stream, token|
        (@subscriptions[identifier] ||= {})[stream] = token if kind == "sub"
        @subscriptions[identifier]&.delete(stream) if kind == "unsub"
      end
      result["channels"]&.each do |identifier, outcome|
        outcome ? (@subscriptions[identifier] ||= {}) : @subscriptions.delete(identifier)
      end
      learn_from [result] # over a link it carries state only if none is handed over any more
    end

    def learn_from(told)
      told.each do |one|
        @state = one["state"] if one["state"]
        one["channels"]&.each { |identifier, outcome| @states[identifier] = outcome["state"] if outcome&.key?("state") }
      end
    end
end
