# A browser as catenary sees it. Remembers what catenary remembers of its connection.
class Browser
  include Minitest::Assertions
  include Calls

  attr_accessor :assertions, :traceparent
  attr_reader :last_call, :name, :result, :version, :state, :tags, :channels, :subscriptions

  # link: for its calls; nil for POSTs.
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

  # Starts an action over a link. Returns the call's number, which is also last_call.
  def start(identifier, action, **data)
    frame = { command: "message", identifier: identifier, data: JSON.generate(data.merge(action: action)) }
    @last_call = @link.call(conn: name, do: "frames", ver: version, frames: [JSON.generate(frame)])
  end

  # Waits for the result of the started action.
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

  # All warnings so far.
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

  # Makes the next call a full one, so that the process has to rebuild the objects.
  def rebuilt
    handed_over
    rebuilt_from_known_state
  end

  # Waits until all of the state is known. Returns the frame that contained it, or the result.
  def handed_over
    return result if @link.nil?
    kept = result["kept"] ? result : @link.await_frame { |frame| frame["kept"] == name && frame["ver"] == version }
    learn_from kept_frames + [result]
    kept
  end

  def kept_frames
    @link.frames.select { |frame| frame["kept"] == name }
  end

  # The same, without waiting for state that is still to be handed over.
  def rebuilt_from_known_state
    @version, @rebuild = "b-other-1", true
    self
  end

  # catenary has welcomed the browser, and sends its identifiers with the first call.
  def identified(identities = { current_user: { gid: "gid://test-app/User/7" } })
    @full[:identities] = identities
    rebuilt_from_known_state
  end

  # Changes the URL of the handshake.
  def moved_to(url)
    @full[:request][:url] = url
  end

  # The messages that the last call has transmitted.
  def messages
    ops("send").map { |_, frame| JSON.parse(frame)["message"] }
  end

  # What the last call has done to the connection.
  def ops(*kinds)
    result.fetch("ops").select { |kind,| kinds.empty? ? kind != "channel" : kinds.include?(kind) }
  end

  # What the last call has reported of channels: pairs of class and event.
  def events
    result.fetch("ops", []).filter_map { |kind, _, channel, event| [channel, event] if kind == "channel" }
  end

  def kinds
    ops.map(&:first)
  end

  private
    def call(**call)
      call = call.merge(@full, { state: state, tags: tags }.compact, channels: known) if @rebuild && call[:do] != "open"
      @rebuild = false
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
      learn_from [result] # over a link it has state only if none is handed over later
    end

    def learn_from(frames)
      frames.each do |frame|
        @state = frame["state"] if frame["state"]
        frame["channels"]&.each { |identifier, outcome| @states[identifier] = outcome["state"] if outcome&.key?("state") }
      end
    end
end
