require_relative "test_helper"

# Links to the application in this process.
class LinkTest < CallTest
  GATE = '{"channel":"GateChannel"}'
  ECHO = '{"channel":"EchoChannel","room":"1"}'
  BLOCKS = '{"channel":"BlockChannel"}'
  FORWARD = '{"channel":"ForwardChannel"}'
  REMOTE = { "REMOTE_ADDR" => "203.0.113.9" }.freeze
  PROXIED = { "HTTP_X_FORWARDED_FOR" => "203.0.113.9" }.freeze

  def teardown
    16.times { Gate << true }
    wait_for { !endpoint.workers.busy? && Gate.num_waiting.zero? } # who still waits would take what the next test has for its own
    links.each(&:close)
    endpoint.proof_seconds = Catenary::Rails::Link::PROOF_SECONDS
  end

  # Opening

  def test_a_link_says_hello
    link = open_link
    assert_equal "plain", link.headers["catenary-frames"]
    assert link.proved?
    assert_equal process, link.headers["catenary-process"]
    assert_equal({ "process" => process, "workers" => 4 }, link.hello.except("settings"))
    assert_equal settings, link.hello["settings"]
    assert_equal "redis", link.hello["settings"]["cable"]["adapter"]
  end

  def test_a_wrong_secret_is_answered_as_an_unknown_path_is
    refused = assert_raises(LinkClient::Refused) { open_link(secret: "other", env: REMOTE) }
    assert_equal 404, refused.status
    assert_equal 403, assert_raises(LinkClient::Refused) { open_link(secret: "other") }.status
  end

  def test_a_recorded_upgrade_opens_nothing
    nonce = SecureRandom.hex(16)
    open_link(nonce: nonce)
    assert_equal 404, assert_raises(LinkClient::Refused) { open_link(nonce: nonce, env: REMOTE) }.status
  end

  def test_the_node_and_the_known_processes_are_signed
    { "Catenary-Node" => "n-other", "Catenary-Known" => "b-other", "Catenary-Frames" => "" }.each do |header|
      assert_equal 403, assert_raises(LinkClient::Refused) { open_link(headers: [header].to_h) }.status
    end
  end

  def test_a_known_process_is_not_linked_twice
    refused = assert_raises(LinkClient::Refused) { open_link(known: "b-other #{process}") }
    assert_equal [409, process], [refused.status, refused.headers["catenary-process"]]
  end

  def test_an_upgrade_that_a_proxy_has_taken_away
    assert_equal 426, assert_raises(LinkClient::Refused) { open_link(headers: { "Upgrade" => nil }) }.status
  end

  def test_a_server_that_cannot_hijack
    assert_equal 501, assert_raises(LinkClient::Refused) { open_link(env: { "rack.hijack" => nil }) }.status
    assert_equal 501, assert_raises(LinkClient::Refused) { open_link(env: { "rack.hijack" => -> { raise NotImplementedError, "no" } }) }.status
  end

  def test_who_does_not_prove_that_it_has_the_secret_is_hung_up_on
    endpoint.proof_seconds = 0.05
    link = open_link(prove: false).await_end
    assert_empty link.frames
    assert_includes LOG.string, "n-test has not proved within 0.05 s that it has the secret"
  end

  def test_who_proves_something_else_is_hung_up_on
    link = open_link(prove: false)
    link.write({ proof: "0" * 64 })
    assert_empty link.await_end.frames
    assert_includes LOG.string, "the proof of n-test is wrong"
  end

  def test_a_call_is_no_proof
    link = open_link(prove: false)
    link.call(do: "open")
    assert_empty link.await_end.frames
  end

  # Frames

  def test_behind_a_proxy_frames_have_a_mac_and_hello_has_no_password
    [REMOTE, PROXIED].each do |env|
      link = open_link(env: env)
      assert_equal "mac", link.headers["catenary-frames"]
      refute link.hello["settings"].key?("cable")
      browser = gate(link)
      browser.perform GATE, "announce", n: 1
      assert_equal [{ "first" => 1 }], browser.said
    end
  end

  def test_a_wrong_mac_ends_the_link
    link = open_link(frames: "")
    link.write_text '{"ping":1}', mac: "x" * 32
    link.await_end
    assert_includes LOG.string, "the link to n-test is closed: a frame whose MAC is wrong"
  end

  def test_a_frame_over_the_bound_ends_the_link
    link = open_link
    link.write_bytes [Catenary::Rails::Framing::LIMIT + 1].pack("N")
    link.await_end
    assert_equal 1, LOG.string.scan("the link to n-test is closed: a frame of 33554433 bytes, more than 33554432").size
  end

  def test_a_frame_that_is_no_json_ends_the_link
    ["{", "[1]", "5"].each { |text| open_link.tap { |link| link.write_text text }.await_end }
    assert_equal 1, LOG.string.scan("the link to n-test is closed: a frame that is no JSON").size
    assert_equal 2, LOG.string.scan("the link to n-test is closed: a frame that is no object").size
  end

  def test_a_frame_may_come_in_pieces_and_with_others
    link = open_link
    frames = (1..3).map { |n| JSON.generate({ ping: n }) }.map { |text| [text.bytesize].pack("N") + text }.join
    frames.each_char { |byte| link.write_bytes byte }
    link.write_bytes frames
    link.await { |all| all.count { |frame| frame.key?("pong") } == 6 }
  end

  def test_a_call_that_makes_no_sense_is_an_error_of_its_own
    link = open_link
    assert_equal "internal", link.result(link.call(do: "open"))["error"]["kind"]
    assert_equal({ "need" => "state" }, link.result(link.call(conn: "c-0", do: "dance")))
    assert_equal "internal", link.result(link.call(conn: "c-0", do: "open", request: { url: 5 }))["error"]["kind"]
    assert_equal 200, Browser.new(self, link: link).opened.result["status"]
  end

  def test_an_effect_over_the_bound_is_an_error_of_its_call
    link = open_link
    browser = gate(link)
    browser.perform GATE, "much", bytes: Catenary::Rails::Framing::LIMIT
    assert_equal "internal", browser.result["error"]["kind"]
    assert_equal 200, Browser.new(self, link: link).opened.result["status"]
  end

  # Calls

  def test_calls_of_a_connection_run_in_their_order_and_those_of_others_beside_them
    link = open_link
    browsers = Array.new(3) { gate(link) }
    10.times do |n|
      browsers.each { |browser| browser.start(GATE, "announce", n: n) }
      browsers.each(&:finish)
      assert_equal [[{ "first" => n }]] * 3, browsers.map(&:said)
    end
  end

  def test_the_first_effect_of_a_call_comes_before_its_end
    link = open_link
    number = gate(link).start(GATE, "hold")
    link.await { link.effects(number).any? }
    refute ended?(link, number)
    Gate << true
    assert_equal [{ "held" => true }, { "released" => true }], said(link.result(number)["ops"])
  end

  def test_effects_of_a_slow_call_come_while_it_runs
    link = open_link
    browser = gate(link)
    browser.subscribe '{"channel":"EchoChannel"}'
    number = browser.start('{"channel":"EchoChannel"}', "tokens")
    link.await { said(link.effects(number)).size == 3 }
    refute ended?(link, number)
    Gate << true
    link.result(number)
  end

  def test_a_slow_call_holds_up_no_other_and_no_ping
    link = open_link
    slow, quick = gate(link), gate(link)
    number = slow.start(GATE, "hold")
    link.await { link.effects(number).any? }

    quick.perform GATE, "announce", n: 1
    assert_equal [{ "first" => 1 }], quick.said
    link.write({ ping: 7 })
    link.await_frame { |frame| frame["pong"] == 7 }
    refute ended?(link, number)
  end

  def test_pings_are_answered_while_all_workers_are_busy_and_further_calls_wait
    link = open_link
    browsers = Array.new(6) { gate(link) }
    numbers = browsers.map { |browser| browser.start(GATE, "hold") }
    link.await { numbers.count { |number| link.effects(number).any? } == 4 }
    link.write({ ping: 1 })
    link.await_frame { |frame| frame["pong"] == 1 }
    assert_equal 4, numbers.count { |number| link.effects(number).any? }

    6.times { Gate << true }
    assert_equal [2] * 6, numbers.map { |number| link.result(number)["ops"].size }
  end

  def test_workers_are_those_of_the_process_and_not_of_the_link
    one, other = open_link, open_link(node: "n-other")
    numbers = Array.new(4) { gate(one).start(GATE, "hold") }
    one.await { numbers.all? { |number| one.effects(number).any? } }
    browser = Browser.new(self, link: other)
    number = other.call(conn: browser.name, do: "close", ver: "b-0-0")
    other.write({ ping: 1 })
    other.await_frame { |frame| frame["pong"] == 1 }
    refute ended?(other, number)
    Gate << true
    assert_equal({ "need" => "state" }, other.result(number))
  end

  def test_threads_are_few_and_named
    link = open_link
    20.times { gate(link).perform GATE, "announce", n: 1 }
    assert_operator endpoint.workers.threads.count(&:alive?), :<=, 4 + links.size + 1
    assert_equal %w[catenary], endpoint.workers.threads.map { |thread| thread.name[/\A\w+/] }.uniq
  end

  def test_nothing_that_an_action_sets_on_its_thread_reaches_the_web
    browser = gate(open_link)
    browser.perform GATE, "translate"
    assert_match(/\Acatenary \d/, browser.said.first["thread"])
    assert_equal :en, I18n.locale
  end

  def test_a_thread_that_the_application_kills_is_replaced
    link = open_link
    browser = gate(link)
    browser.start GATE, "die"
    4.times { gate(link).perform GATE, "announce", n: 1 }
    numbers = Array.new(4) { gate(link).start(GATE, "hold") }
    link.await { numbers.all? { |number| link.effects(number).any? } }
  end

  # Broadcasts for blocks

  def test_the_result_of_a_block_does_not_wait_for_the_call_behind_it
    link = open_link
    browser, other = Browser.new(self, "?user=7", link: link).opened, gate(link)
    browser.subscribe BLOCKS
    pass = JSON.generate(command: "message", identifier: GATE, data: '{"action":"pass"}')
    at_once link,
      { call: 1001, conn: browser.name, do: "message", ver: browser.version, channel: BLOCKS, stream: "raw", payload: "x" },
      { call: 1002, conn: other.name, do: "frames", ver: other.version, frames: [pass] }
    assert_equal [{ "raw" => "x", "seen" => 1 }], said(link.result(1001)["ops"])
    refute ended?(link, 1002)
    Gate << true
    link.result 1002
  end

  def test_what_a_block_has_done_comes_before_what_the_next_one_broadcasts
    workers = endpoint.workers.limit
    endpoint.workers.instance_variable_set(:@limit, 1) # or they run at once where the first takes long
    link = open_link
    browser, other = Array.new(2) { Browser.new(self, "?user=7", link: link).opened }
    browser.subscribe BLOCKS
    other.subscribe FORWARD
    at_once link,
      { call: 1001, conn: browser.name, do: "message", ver: browser.version, channel: BLOCKS, stream: "raw", payload: "x" },
      { call: 1002, conn: other.name, do: "message", ver: other.version, channel: FORWARD, stream: "forwarded", payload: "x" }
    link.result 1002
    said = link.frames.map { |frame| frame.keys.first } - ["kept"] # which the gem writes whenever nothing runs
    assert_equal %w[end sync end], said.last(3)
  ensure
    endpoint.workers.instance_variable_set(:@limit, workers)
  end

  def test_results_of_blocks_are_written_together_and_in_order
    ours, theirs = UNIXSocket.pair
    framing = Catenary::Rails::Framing.new(ours)
    framing.write "1".dup, hold: true
    assert_equal :wait_readable, theirs.read_nonblock(100, exception: false)
    framing.write "2".dup
    framing.write "3".dup, hold: true
    framing.flush
    assert_equal "\0\0\0\x011\0\0\0\x012\0\0\0\x013", theirs.readpartial(100)
  ensure
    [ours, theirs].each(&:close)
  end

  # Late effects

  def test_what_a_thread_does_after_the_end_of_its_call_arrives
    link = open_link
    browser = Browser.new(self, "?user=7", link: link).opened
    browser.subscribe ECHO
    browser.perform ECHO, "later"
    assert_empty browser.ops
    link.await { link.late(browser.name).size == 2 }
    assert_equal [["send", { identifier: ECHO, message: { later: true } }.to_json], ["sub", ECHO, "later", nil]], link.late(browser.name)
  end

  def test_what_a_thread_of_connect_does_arrives
    link = open_link
    20.times do
      browser = Browser.new(self, "?user=7&thread=1", link: link).opened
      text = '{"type":"from a thread"}'
      link.await { (browser.ops + link.late(browser.name)).include?(["send", text]) || link.effects(browser.last_call).include?(["send", text]) }
    end
  end

  def test_a_block_runs_on_a_worker_if_the_application_calls_it_outside_of_a_command
    browser = Browser.new(self, "?user=7", link: open_link).opened
    browser.subscribe ECHO
    live = endpoint.live_connections.take(browser.name, nil)
    thread = Queue.new
    live.server.worker_pool.async_exec(live.connection, connection: live.connection) { thread << Thread.current.name }
    assert_match(/\Acatenary \d/, thread.pop)
  end

  def test_nothing_is_said_of_a_handshake_that_is_refused
    Browser.new(self, headers: { "Origin" => "http://evil.test" }, link: open_link).open
    refute_match(/lost|ERROR.*catenary/, LOG.string)
  end

  def test_what_a_thread_does_goes_over_the_link_that_came_after_a_lost_one
    lost = open_link
    browser = gate(lost)
    browser.perform GATE, "announce_later"
    link = open_link
    lost.await_end
    Gate << true
    link.await { link.late(browser.name).any? }
    assert_equal [{ "first" => true }], said(link.late(browser.name))
  end

  # Order

  def test_a_broadcast_waits_for_what_was_transmitted_before_it
    link = open_link
    browser = gate(link)
    link.hold_syncs
    payloads = REDIS.published("test:gate", count: 2) do
      number = browser.start(GATE, "announce", n: 1)
      sync = link.awaited_sync
      assert_equal [{ "first" => 1 }], said(link.effects(number))
      REDIS.client.publish("test:gate", '{"between":true}')
      link.write({ synced: sync })
      link.result(number)
    end
    assert_equal [{ "between" => true }, { "second" => 1 }], payloads
  end

  def test_a_broadcast_waits_while_other_calls_run
    link = open_link
    slow = gate(link)
    browser = gate(link)
    held = slow.start(GATE, "hold")
    link.await { link.effects(held).any? }
    link.hold_syncs
    number = browser.start(GATE, "announce", n: 1)
    sync = link.awaited_sync
    other = gate(link).start(GATE, "broadcast_only")
    link.result(other)
    link.write({ ping: 1 })
    link.await_frame { |frame| frame["pong"] == 1 }
    refute ended?(link, number)
    link.write({ synced: sync })
    link.result(number)
  end

  def test_a_broadcast_waits_one_second_at_most
    link = open_link
    browser = gate(link)
    link.hold_syncs
    payloads = REDIS.published("test:gate") { link.result(browser.start(GATE, "announce", n: 1)) }
    assert_equal [{ "second" => 1 }], payloads
  end

  def test_a_broadcast_with_nothing_before_it_does_not_wait
    link = open_link
    browser = gate(link)
    link.hold_syncs
    REDIS.published("test:gate") { browser.perform GATE, "broadcast_only" }
    refute link.frames.any? { |frame| frame.key?("sync") }
  end

  def test_a_thread_that_outlives_its_call_waits_too
    link = open_link
    browser = gate(link)
    browser.perform GATE, "announce_later"
    link.hold_syncs
    payloads = REDIS.published("test:gate", count: 2) do
      Gate << true
      sync = link.awaited_sync
      assert_equal [{ "first" => true }], said(link.late(browser.name))
      REDIS.client.publish("test:gate", '{"between":true}')
      link.write({ synced: sync })
    end
    assert_equal [{ "between" => true }, { "second" => true }], payloads
  end

  def test_a_remote_disconnect_of_oneself_waits
    link = open_link
    browser = gate(link)
    link.hold_syncs
    number = browser.start(GATE, "leave")
    sync = link.awaited_sync
    assert_equal [{ "bye" => true }], said(link.effects(number))
    refute ended?(link, number)
    link.write({ synced: sync })
    link.result(number)
  end

  def test_a_job_is_enqueued_when_what_was_transmitted_before_it_has_arrived
    actions = ["enqueue"]
    actions << "enqueue_many" if ActiveJob.respond_to?(:perform_all_later)
    actions.each do |action|
      jobs.clear
      link = open_link
      browser = gate(link)
      link.hold_syncs
      number = browser.start(GATE, action)
      sync = link.awaited_sync
      assert_empty jobs
      link.write({ synced: sync })
      link.result(number)
      assert_equal 1, jobs.size
    end
  end

  def test_a_job_of_sidekiqs_too
    Sidekiq::Queue.all.each(&:clear)
    link = open_link
    browser = gate(link)
    link.hold_syncs
    number = browser.start(GATE, "push")
    sync = link.awaited_sync
    assert_equal 0, Sidekiq::Queue.new.size
    link.write({ synced: sync })
    link.result(number)
    assert_equal 1, Sidekiq::Queue.new.size
  end

  # State

  def test_no_more_state_is_handed_over_than_has_changed
    endpoint.handover.quiet = 3600
    link = open_link
    browser = Browser.new(self, "?user=7", link: link).opened
    rooms = (1..5).map { |n| %({"channel":"EchoChannel","room":"#{n}"}) }
    rooms.each { |room| browser.subscribe room }
    assert_equal [nil, nil, [rooms.last]], [browser.result["kept"], browser.result["state"], browser.result["channels"].keys]
    endpoint.handover.quiet = 0
    kept = browser.handed_over
    assert kept["state"]
    assert_equal rooms, kept["channels"].keys

    browser.perform rooms[2], "remember", value: 1
    refute browser.result["kept"]
    kept = browser.handed_over
    assert_equal [nil, [rooms[2]]], [kept["state"], kept["channels"].keys]

    browser.perform rooms[0], "echo"
    assert browser.result["kept"]
    browser.perform rooms[0], "recall" # counts visits in the connection
    assert browser.handed_over["state"]
  end

  def test_what_has_not_been_handed_over_stays_lacking
    endpoint.handover.quiet = 3600
    browser = Browser.new(self, "?user=7", link: open_link).opened
    browser.subscribe ECHO
    browser.perform ECHO, "echo"
    refute browser.result["kept"], "what subscribing has made has not been told"
  end

  # Those who act are listed again after each call, and so must not wait for ever.
  def test_state_is_handed_over_beside_calls_that_run
    link = open_link
    busy = gate(link)
    number = busy.start(GATE, "hold")
    link.await { link.effects(number).any? }
    browser = Browser.new(self, "?user=7", link: link).opened
    endpoint.handover.latest = 0
    browser.subscribe ECHO
    browser.handed_over
    Gate << true
    link.result(number)
  end

  # catenary takes it only with the version of the last end, and would believe later results that it has all.
  def test_state_is_handed_over_between_calls_only
    link = open_link
    browsers = Array.new(3) { Browser.new(self, "?user=7", link: link).opened.tap { |browser| browser.subscribe ECHO } }
    endpoint.handover.latest = 0
    names = browsers.map do |browser|
      Thread.new { Array.new(200) { |n| browser.perform(ECHO, "remember", value: n) && [browser.last_call, browser.name] } }
    end.flat_map(&:value).to_h
    browsers.each(&:handed_over)

    versions, kept = {}, 0
    link.frames.each do |frame|
      if name = names[frame["end"]] then versions[name] = frame["ver"]
      elsif version = versions[frame["kept"]] then kept += 1 and assert_equal(version, frame["ver"])
      end
    end
    assert_operator kept, :>=, 3
  end

  # live_limit is 50 here.
  def test_who_is_thrown_out_hands_over_first
    endpoint.handover.quiet = 3600
    link = open_link
    first = Browser.new(self, "?user=7", link: link).opened
    first.subscribe ECHO
    60.times { Browser.new(self, "?user=1", link: link).opened }
    first.handed_over
    assert_equal "state", first.perform(ECHO, "echo")["need"]
    first.still_forgotten.perform ECHO, "echo", a: 1
    assert_equal [{ "a" => 1 }], first.said
  end

  def test_unloading_the_classes_hands_over_first
    endpoint.handover.quiet = 3600
    browser = Browser.new(self, "?user=7", link: open_link).opened
    endpoint.live_connections.clear
    browser.handed_over
  end

  # Its process was killed before it could hand anything over: what the channel was asked for with is known.
  def test_a_channel_of_which_nothing_was_handed_over_is_unsubscribed_all_the_same
    browser = Browser.new(self, "?user=7", link: open_link).opened
    browser.handed_over
    endpoint.handover.quiet = 3600
    browser.subscribe ECHO
    Journal.clear
    browser.still_forgotten.close
    assert_equal [:unsubscribed, :disconnect], Journal.entries.map(&:first)
    assert_equal ECHO, Journal.entries.first[1]
  end

  def test_what_catenary_sent_for_a_rebuild_has_been_written
    browser = Browser.new(self, "?user=7", link: open_link).opened
    browser.subscribe ECHO
    browser.forgotten.perform ECHO, "echo"
    assert_equal [false, true], [browser.result.key?("state"), browser.result["kept"]]
    refute browser.result["channels"][ECHO].key?("state")
  end

  # Development

  def test_code_is_reloaded_before_calls_while_others_run
    endpoint.define_singleton_method(:reloads?) { true }
    link = open_link
    browsers = Array.new(3) { gate(link) }
    number = browsers[0].start(GATE, "hold")
    link.await { link.effects(number).any? }
    browsers.drop(1).each { |browser| browser.perform GATE, "announce", n: 1 }
    link.write({ ping: 1 })
    link.await_frame { |frame| frame["pong"] == 1 }
    Gate << true
    link.result(number)
  ensure
    endpoint.singleton_class.remove_method :reloads?
  end

  # The database

  def test_a_worker_that_waits_for_the_database_is_warned_of
    thread = Thread.new { eval "Gate.pop", binding, "active_record/connection_adapters/abstract/connection_pool.rb" }
    wait_for { thread.stop? }
    waits = Catenary::Rails::DatabaseWaits.new
    waits.define_singleton_method(:pool) { Struct.new(:num_waiting_in_queue).new(1) }
    waits.look [Thread.current]
    refute_includes LOG.string, "calls wait for a connection to the database"
    2.times { waits.look [Thread.current, thread] }
    assert_equal 1, LOG.string.scan("calls wait for a connection to the database").size
  ensure
    thread&.kill
  end

  # Processes

  def test_a_child_process_keeps_no_link_open
    link = open_link
    browser = gate(link)
    browser.perform GATE, "spawn_child"
    _, child, pipe = Journal.entries.assoc(:child)
    gate(link).perform GATE, "announce", n: 1
    endpoint.links.instance_variable_get(:@links).last.hang_up
    link.await_end # though the child lives
    assert_nil Process.wait(child, Process::WNOHANG)
  ensure
    pipe&.close
    Process.wait(child) if child
  end

  private
    # Writes calls so that they are read together.
    def at_once(link, *calls)
      link.write_bytes calls.map { |call| JSON.generate(call) }.sum("") { |text| [text.bytesize].pack("N") + text }
    end

    def open_link(**options)
      LinkClient.pair(**options).tap { |link| links << link }
    end

    def links
      @links ||= []
    end

    def process
      endpoint.process.to_s
    end

    # A browser that has subscribed.
    def gate(link)
      Browser.new(self, "?user=7", link: link).opened.tap { |browser| browser.subscribe GATE }
    end

    def said(ops)
      ops.select { |kind,| kind == "send" }.map { |_, frame| JSON.parse(frame)["message"] }
    end

    def ended?(link, number)
      link.frames.any? { |frame| frame["end"] == number }
    end

    def jobs
      ActiveJob::Base.queue_adapter.enqueued_jobs
    end
end
