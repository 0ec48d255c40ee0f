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
    wait_for { !endpoint.workers.busy? && Gate.num_waiting.zero? } # a waiting action would take the next test's token
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
    assert_equal settings.except("time"), link.hello["settings"].except("time")
    assert_equal "redis", link.hello["settings"]["cable"]["adapter"]
  end

  def test_an_upgrade_with_a_wrong_secret_is_answered_like_an_unknown_path
    refused = assert_raises(LinkClient::Refused) { open_link(secret: "other", env: REMOTE) }
    assert_equal 404, refused.status
    assert_equal 403, assert_raises(LinkClient::Refused) { open_link(secret: "other") }.status
  end

  def test_a_replayed_upgrade_is_refused
    nonce = SecureRandom.hex(16)
    open_link(nonce: nonce)
    assert_equal 404, assert_raises(LinkClient::Refused) { open_link(nonce: nonce, env: REMOTE) }.status
  end

  def test_the_signature_covers_node_known_processes_and_frames
    { "Catenary-Node" => "n-other", "Catenary-Known" => "b-other", "Catenary-Frames" => "" }.each do |header|
      assert_equal 403, assert_raises(LinkClient::Refused) { open_link(headers: [header].to_h) }.status
    end
  end

  def test_a_known_process_refuses_a_second_link
    refused = assert_raises(LinkClient::Refused) { open_link(known: "b-other #{process}") }
    assert_equal [409, process], [refused.status, refused.headers["catenary-process"]]
  end

  def test_a_request_without_upgrade_header_is_answered_with_426
    assert_equal 426, assert_raises(LinkClient::Refused) { open_link(headers: { "Upgrade" => nil }) }.status
  end

  def test_a_server_that_cannot_hijack_answers_501
    assert_equal 501, assert_raises(LinkClient::Refused) { open_link(env: { "rack.hijack" => nil }) }.status
    assert_equal 501, assert_raises(LinkClient::Refused) { open_link(env: { "rack.hijack" => -> { raise NotImplementedError, "no" } }) }.status
  end

  def test_the_gem_hangs_up_on_a_peer_without_proof
    endpoint.proof_seconds = 0.05
    link = open_link(prove: false).await_end
    assert_empty link.frames
    assert_includes LOG.string, "n-test did not prove within 0.05 s that it has the secret"
  end

  def test_the_gem_hangs_up_on_a_peer_with_a_wrong_proof
    link = open_link(prove: false)
    link.write({ proof: "0" * 64 })
    assert_empty link.await_end.frames
    assert_includes LOG.string, "n-test sent a wrong proof"
  end

  def test_the_gem_hangs_up_on_a_call_in_place_of_the_proof
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
      browser = subscribed(link)
      browser.perform GATE, "announce", n: 1
      assert_equal [{ "first" => 1 }], browser.messages
    end
  end

  def test_a_wrong_mac_closes_the_link
    link = open_link(frames: "")
    link.write_text '{"ping":1}', mac: "x" * 32
    link.await_end
    assert_includes LOG.string, "closed the link to n-test: a frame has a wrong MAC"
  end

  def test_a_frame_over_the_limit_closes_the_link
    link = open_link
    link.write_bytes [Catenary::Rails::Framing::LIMIT + 1].pack("N")
    link.await_end
    assert_equal 1, LOG.string.scan("closed the link to n-test: a frame has 33554433 bytes, more than 33554432").size
  end

  def test_a_frame_that_is_not_a_json_object_closes_the_link
    ["{", "[1]", "5"].each { |text| open_link.tap { |link| link.write_text text }.await_end }
    assert_equal 1, LOG.string.scan("closed the link to n-test: a frame is not valid JSON").size
    assert_equal 2, LOG.string.scan("closed the link to n-test: a frame is not a JSON object").size
  end

  def test_frames_may_arrive_byte_by_byte_or_together
    link = open_link
    frames = (1..3).map { |n| JSON.generate({ ping: n }) }.map { |text| [text.bytesize].pack("N") + text }.join
    frames.each_char { |byte| link.write_bytes byte }
    link.write_bytes frames
    link.await { |all| all.count { |frame| frame.key?("pong") } == 6 }
  end

  def test_an_invalid_call_fails_alone
    link = open_link
    assert_equal "internal", link.result(link.call(do: "open"))["error"]["kind"]
    assert_equal({ "need" => "state" }, link.result(link.call(conn: "c-0", do: "dance")))
    assert_equal "internal", link.result(link.call(conn: "c-0", do: "open", request: { url: 5 }))["error"]["kind"]
    assert_equal 200, Browser.new(self, link: link).opened.result["status"]
  end

  def test_an_effect_over_the_limit_fails_its_call_alone
    link = open_link
    browser = subscribed(link)
    browser.perform GATE, "much", bytes: Catenary::Rails::Framing::LIMIT
    assert_equal "internal", browser.result["error"]["kind"]
    assert_equal 200, Browser.new(self, link: link).opened.result["status"]
  end

  # Calls

  def test_calls_of_a_connection_run_in_order_and_those_of_several_in_parallel
    link = open_link
    browsers = Array.new(3) { subscribed(link) }
    10.times do |n|
      browsers.each { |browser| browser.start(GATE, "announce", n: n) }
      browsers.each(&:finish)
      assert_equal [[{ "first" => n }]] * 3, browsers.map(&:messages)
    end
  end

  def test_the_first_effect_of_a_call_arrives_before_its_result
    link = open_link
    number = subscribed(link).start(GATE, "hold")
    link.await { link.effects(number).any? }
    refute ended?(link, number)
    Gate << true
    assert_equal [{ "held" => true }, { "released" => true }], messages(link.result(number)["ops"])
  end

  def test_effects_of_a_slow_call_arrive_while_it_runs
    link = open_link
    browser = subscribed(link)
    browser.subscribe '{"channel":"EchoChannel"}'
    number = browser.start('{"channel":"EchoChannel"}', "tokens")
    link.await { messages(link.effects(number)).size == 3 }
    refute ended?(link, number)
    Gate << true
    link.result(number)
  end

  def test_a_slow_call_delays_neither_other_calls_nor_pings
    link = open_link
    slow, quick = subscribed(link), subscribed(link)
    number = slow.start(GATE, "hold")
    link.await { link.effects(number).any? }

    quick.perform GATE, "announce", n: 1
    assert_equal [{ "first" => 1 }], quick.messages
    link.write({ ping: 7 })
    link.await_frame { |frame| frame["pong"] == 7 }
    refute ended?(link, number)
  end

  def test_while_all_workers_are_busy_pings_are_answered_and_calls_wait
    link = open_link
    browsers = Array.new(6) { subscribed(link) }
    numbers = browsers.map { |browser| browser.start(GATE, "hold") }
    link.await { numbers.count { |number| link.effects(number).any? } == 4 }
    link.write({ ping: 1 })
    link.await_frame { |frame| frame["pong"] == 1 }
    assert_equal 4, numbers.count { |number| link.effects(number).any? }

    6.times { Gate << true }
    assert_equal [2] * 6, numbers.map { |number| link.result(number)["ops"].size }
  end

  def test_all_links_of_a_process_share_its_workers
    one, other = open_link, open_link(node: "n-other")
    numbers = Array.new(4) { subscribed(one).start(GATE, "hold") }
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
    20.times { subscribed(link).perform GATE, "announce", n: 1 }
    assert_operator endpoint.workers.threads.count(&:alive?), :<=, 4 + links.size + 1
    assert_equal %w[catenary], endpoint.workers.threads.map { |thread| thread.name[/\A\w+/] }.uniq
  end

  def test_what_an_action_sets_on_its_thread_does_not_reach_web_requests
    browser = subscribed(open_link)
    browser.perform GATE, "translate"
    assert_match(/\Acatenary \d/, browser.messages.first["thread"])
    assert_equal :en, I18n.locale
  end

  def test_a_worker_that_the_application_kills_is_replaced
    link = open_link
    browser = subscribed(link)
    browser.start GATE, "die"
    4.times { subscribed(link).perform GATE, "announce", n: 1 }
    numbers = Array.new(4) { subscribed(link).start(GATE, "hold") }
    link.await { numbers.all? { |number| link.effects(number).any? } }
  end

  # Broadcasts for blocks

  def test_the_result_of_a_block_does_not_wait_for_the_next_call
    link = open_link
    browser, other = Browser.new(self, "?user=7", link: link).opened, subscribed(link)
    browser.subscribe BLOCKS
    pass = JSON.generate(command: "message", identifier: GATE, data: '{"action":"pass"}')
    write_together link,
      { call: 1001, conn: browser.name, do: "message", ver: browser.version, channel: BLOCKS, stream: "raw", payload: "x" },
      { call: 1002, conn: other.name, do: "frames", ver: other.version, frames: [pass] }
    assert_equal [{ "raw" => "x", "seen" => 1 }], messages(link.result(1001)["ops"])
    refute ended?(link, 1002)
    Gate << true
    link.result 1002
  end

  def test_effects_of_a_block_arrive_before_the_next_block_broadcasts
    workers = endpoint.workers.limit
    endpoint.workers.instance_variable_set(:@limit, 1) # otherwise they run in parallel if the first one is slow
    link = open_link
    browser, other = Array.new(2) { Browser.new(self, "?user=7", link: link).opened }
    browser.subscribe BLOCKS
    other.subscribe FORWARD
    write_together link,
      { call: 1001, conn: browser.name, do: "message", ver: browser.version, channel: BLOCKS, stream: "raw", payload: "x" },
      { call: 1002, conn: other.name, do: "message", ver: other.version, channel: FORWARD, stream: "forwarded", payload: "x" }
    link.result 1002
    kinds = link.frames.map { |frame| frame.keys.first } - ["kept"] # the gem may write these at any time
    assert_equal %w[end sync end], kinds.last(3)
  ensure
    endpoint.workers.instance_variable_set(:@limit, workers)
  end

  def test_the_result_of_an_action_does_not_wait_for_the_next_call
    link = open_link
    browser, other = Browser.new(self, "?user=7", link: link).opened, subscribed(link)
    browser.subscribe ECHO
    echo, pass = [ECHO, '{"action":"echo","n":1}'], [GATE, '{"action":"pass"}']
    echo, pass = [echo, pass].map { |identifier, data| JSON.generate(command: "message", identifier: identifier, data: data) }
    write_together link,
      { call: 1001, conn: browser.name, do: "frames", ver: browser.version, frames: [echo] },
      { call: 1002, conn: other.name, do: "frames", ver: other.version, frames: [pass] }
    assert_equal [{ "n" => 1 }], messages(link.result(1001)["ops"])
    refute ended?(link, 1002)
    Gate << true
    link.result 1002
  end

  def test_a_thread_forgets_the_effects_of_earlier_calls_only_if_their_results_are_written
    written, held = [false, true].map { |holding| Struct.new(:holding?).new(holding) }
    synced = []
    effects = Object.new
    effects.define_singleton_method(:sync) { |link, _| synced << link }
    Thread.new do
      [written, held].each { |link| Catenary::Rails::Sync.recorded effects, link }
      Catenary::Rails::Sync.forget
      Catenary::Rails::Sync.wait
    end.join
    assert_equal [held], synced
  end

  def test_held_results_are_written_together_and_in_order
    ours, theirs = UNIXSocket.pair
    framing = Catenary::Rails::Framing.new(ours)
    framing.write "1".dup, hold: true
    assert_equal [1, :wait_readable], [framing.held, theirs.read_nonblock(100, exception: false)]
    framing.write "2".dup
    assert_equal 0, framing.held
    framing.write "3".dup, hold: true
    framing.flush
    assert_equal "\0\0\0\x011\0\0\0\x012\0\0\0\x013", theirs.readpartial(100)
  ensure
    [ours, theirs].each(&:close)
  end

  # Otherwise a broadcast of the next call could overtake the result.
  def test_a_result_is_held_until_it_has_been_written
    ours, theirs = UNIXSocket.pair
    framing = Catenary::Rails::Framing.new(ours)
    begun, gate = Queue.new, Queue.new
    framing.define_singleton_method(:send_all) do |data|
      begun << true
      gate.pop
      super(data)
    end
    framing.write "1".dup, hold: true
    flush = Thread.new { framing.flush }
    begun.pop
    assert_equal 1, framing.held
    gate.close
    flush.join
    assert_equal [0, "\0\0\0\x011"], [framing.held, theirs.readpartial(100)]
  ensure
    [gate, ours, theirs].each(&:close)
  end

  # Effects after a call

  def test_effects_of_a_thread_after_its_call_arrive
    link = open_link
    browser = Browser.new(self, "?user=7", link: link).opened
    browser.subscribe ECHO
    browser.perform ECHO, "later"
    assert_empty browser.ops
    link.await { link.late(browser.name).size == 2 }
    assert_equal [["send", { identifier: ECHO, message: { later: true } }.to_json], ["sub", ECHO, "later", nil]], link.late(browser.name)
  end

  def test_effects_of_a_thread_of_connect_arrive
    link = open_link
    20.times do
      browser = Browser.new(self, "?user=7&thread=1", link: link).opened
      text = '{"type":"from a thread"}'
      link.await { (browser.ops + link.late(browser.name)).include?(["send", text]) || link.effects(browser.last_call).include?(["send", text]) }
    end
  end

  def test_work_outside_of_a_command_runs_on_a_worker
    browser = Browser.new(self, "?user=7", link: open_link).opened
    browser.subscribe ECHO
    live = endpoint.live_connections.take(browser.name, nil)
    thread = Queue.new
    live.server.worker_pool.async_exec(live.connection, connection: live.connection) { thread << Thread.current.name }
    assert_match(/\Acatenary \d/, thread.pop)
  end

  def test_a_refused_handshake_logs_no_error
    Browser.new(self, headers: { "Origin" => "http://evil.test" }, link: open_link).open
    refute_match(/lost|ERROR.*catenary/, LOG.string)
  end

  def test_effects_of_a_thread_use_the_link_that_has_replaced_a_lost_one
    lost = open_link
    browser = subscribed(lost)
    browser.perform GATE, "announce_later"
    link = open_link
    lost.await_end
    Gate << true
    link.await { link.late(browser.name).any? }
    assert_equal [{ "first" => true }], messages(link.late(browser.name))
  end

  # Order

  def test_a_broadcast_waits_for_the_messages_transmitted_before_it
    link = open_link
    browser = subscribed(link)
    link.leave_syncs_unanswered
    payloads = REDIS.published("test:gate", count: 2) do
      number = browser.start(GATE, "announce", n: 1)
      sync = link.await_sync
      assert_equal [{ "first" => 1 }], messages(link.effects(number))
      REDIS.client.publish("test:gate", '{"between":true}')
      link.write({ synced: sync })
      link.result(number)
    end
    assert_equal [{ "between" => true }, { "second" => 1 }], payloads
  end

  def test_other_calls_run_while_a_broadcast_waits
    link = open_link
    slow = subscribed(link)
    browser = subscribed(link)
    held = slow.start(GATE, "hold")
    link.await { link.effects(held).any? }
    link.leave_syncs_unanswered
    number = browser.start(GATE, "announce", n: 1)
    sync = link.await_sync
    other = subscribed(link).start(GATE, "broadcast_only")
    link.result(other)
    link.write({ ping: 1 })
    link.await_frame { |frame| frame["pong"] == 1 }
    refute ended?(link, number)
    link.write({ synced: sync })
    link.result(number)
  end

  def test_a_broadcast_waits_for_at_most_one_second
    link = open_link
    browser = subscribed(link)
    link.leave_syncs_unanswered
    payloads = REDIS.published("test:gate") { link.result(browser.start(GATE, "announce", n: 1)) }
    assert_equal [{ "second" => 1 }], payloads
  end

  def test_a_broadcast_without_effects_before_it_does_not_wait
    link = open_link
    browser = subscribed(link)
    link.leave_syncs_unanswered
    REDIS.published("test:gate") { browser.perform GATE, "broadcast_only" }
    refute link.frames.any? { |frame| frame.key?("sync") }
  end

  def test_a_broadcast_of_a_thread_that_outlives_its_call_waits_too
    link = open_link
    browser = subscribed(link)
    browser.perform GATE, "announce_later"
    link.leave_syncs_unanswered
    payloads = REDIS.published("test:gate", count: 2) do
      Gate << true
      sync = link.await_sync
      assert_equal [{ "first" => true }], messages(link.late(browser.name))
      REDIS.client.publish("test:gate", '{"between":true}')
      link.write({ synced: sync })
    end
    assert_equal [{ "between" => true }, { "second" => true }], payloads
  end

  def test_a_remote_disconnect_waits_for_the_messages_transmitted_before_it
    link = open_link
    browser = subscribed(link)
    link.leave_syncs_unanswered
    number = browser.start(GATE, "leave")
    sync = link.await_sync
    assert_equal [{ "bye" => true }], messages(link.effects(number))
    refute ended?(link, number)
    link.write({ synced: sync })
    link.result(number)
  end

  def test_a_job_waits_for_the_messages_transmitted_before_it
    actions = ["enqueue"]
    actions << "enqueue_many" if ActiveJob.respond_to?(:perform_all_later)
    actions.each do |action|
      jobs.clear
      link = open_link
      browser = subscribed(link)
      link.leave_syncs_unanswered
      number = browser.start(GATE, action)
      sync = link.await_sync
      assert_empty jobs
      link.write({ synced: sync })
      link.result(number)
      assert_equal 1, jobs.size
    end
  end

  def test_a_sidekiq_job_waits_for_the_messages_transmitted_before_it
    Sidekiq::Queue.all.each(&:clear)
    link = open_link
    browser = subscribed(link)
    link.leave_syncs_unanswered
    number = browser.start(GATE, "push")
    sync = link.await_sync
    assert_equal 0, Sidekiq::Queue.new.size
    link.write({ synced: sync })
    link.result(number)
    assert_equal 1, Sidekiq::Queue.new.size
  end

  # State

  def test_only_changed_state_is_handed_over
    endpoint.handover.idle_delay = 3600
    link = open_link
    browser = Browser.new(self, "?user=7", link: link).opened
    rooms = (1..5).map { |n| %({"channel":"EchoChannel","room":"#{n}"}) }
    rooms.each { |room| browser.subscribe room }
    assert_equal [nil, nil, [rooms.last]], [browser.result["kept"], browser.result["state"], browser.result["channels"].keys]
    endpoint.handover.idle_delay = 0
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

  def test_state_that_was_not_handed_over_is_still_missing_after_the_next_call
    endpoint.handover.idle_delay = 3600
    browser = Browser.new(self, "?user=7", link: open_link).opened
    browser.subscribe ECHO
    browser.perform ECHO, "echo"
    refute browser.result["kept"], "the channel's state has not been handed over"
  end

  # A connection that acts is enqueued again after each call, and must not wait forever.
  def test_state_is_handed_over_while_other_calls_run
    link = open_link
    busy = subscribed(link)
    number = busy.start(GATE, "hold")
    link.await { link.effects(number).any? }
    browser = Browser.new(self, "?user=7", link: link).opened
    endpoint.handover.busy_delay = 0
    browser.subscribe ECHO
    browser.handed_over
    Gate << true
    link.result(number)
  end

  # catenary accepts it only with the version of the last result; with another one it would believe
  # a later result that it has all of the state.
  def test_state_is_handed_over_only_between_calls
    link = open_link
    browsers = Array.new(3) { Browser.new(self, "?user=7", link: link).opened.tap { |browser| browser.subscribe ECHO } }
    endpoint.handover.busy_delay = 0
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

  # After a storm thousands of states are due, and those of a process that is killed are lost.
  def test_states_are_handed_over_without_a_rest_between_them
    endpoint.handover.idle_delay = 3600
    link = open_link
    names = Array.new(45) { Browser.new(self, "?user=7", link: link).opened.name }
    handover = Catenary::Rails::Handover.new(endpoint.live_connections)
    handover.idle_delay = 0
    endpoint.live_connections.send(:all).each { |live| handover.enqueue(live) }
    watch = Catenary::Rails::Watch.new(Catenary::Rails::Workers.new(1), endpoint.links, handover)
    nil while watch.send(:tick) # rests if this is false
    link.await { |frames| (names - frames.map { |frame| frame["kept"] }).empty? }
  end

  # live_limit is 50 here.
  def test_state_is_handed_over_when_a_connection_is_evicted
    endpoint.handover.idle_delay = 3600
    link = open_link
    first = Browser.new(self, "?user=7", link: link).opened
    first.subscribe ECHO
    60.times { Browser.new(self, "?user=1", link: link).opened }
    first.handed_over
    assert_equal "state", first.perform(ECHO, "echo")["need"]
    first.rebuilt_from_known_state.perform ECHO, "echo", a: 1
    assert_equal [{ "a" => 1 }], first.messages
  end

  def test_state_is_handed_over_when_classes_are_unloaded
    endpoint.handover.idle_delay = 3600
    browser = Browser.new(self, "?user=7", link: open_link).opened
    endpoint.live_connections.clear
    browser.handed_over
  end

  # The process was killed before it could hand over any state: catenary still knows the identifier.
  def test_a_channel_without_state_is_unsubscribed_nevertheless
    browser = Browser.new(self, "?user=7", link: open_link).opened
    browser.handed_over
    endpoint.handover.idle_delay = 3600
    browser.subscribe ECHO
    Journal.clear
    browser.rebuilt_from_known_state.close
    assert_equal [:unsubscribed, :disconnect], Journal.entries.map(&:first)
    assert_equal ECHO, Journal.entries.first[1]
  end

  def test_state_from_catenary_is_not_sent_back_after_a_rebuild
    browser = Browser.new(self, "?user=7", link: open_link).opened
    browser.subscribe ECHO
    browser.rebuilt.perform ECHO, "echo"
    assert_equal [false, true], [browser.result.key?("state"), browser.result["kept"]]
    refute browser.result["channels"][ECHO].key?("state")
  end

  # Development

  def test_a_reload_waits_for_running_calls
    endpoint.define_singleton_method(:reloads?) { true }
    link = open_link
    browsers = Array.new(3) { subscribed(link) }
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

  # Database connections

  def test_calls_that_wait_for_a_database_connection_are_logged
    thread = Thread.new { eval "Gate.pop", binding, "active_record/connection_adapters/abstract/connection_pool.rb" }
    wait_for { thread.stop? }
    waits = Catenary::Rails::DatabaseWaits.new
    waits.define_singleton_method(:pool) { Struct.new(:num_waiting_in_queue).new(1) }
    waits.check [Thread.current]
    refute_includes LOG.string, "calls wait for a database connection"
    2.times { waits.check [Thread.current, thread] }
    assert_equal 1, LOG.string.scan("calls wait for a database connection").size
  ensure
    thread&.kill
  end

  # Forks

  def test_a_forked_child_does_not_keep_a_link_open
    link = open_link
    browser = subscribed(link)
    browser.perform GATE, "spawn_child"
    _, child, pipe = Journal.entries.assoc(:child)
    subscribed(link).perform GATE, "announce", n: 1
    endpoint.links.instance_variable_get(:@links).last.hang_up
    link.await_end # though the child lives
    assert_nil Process.wait(child, Process::WNOHANG)
  ensure
    pipe&.close
    Process.wait(child) if child
  end

  private
    # Writes calls in one piece, so that they are read together.
    def write_together(link, *calls)
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

    # A browser that has subscribed to GateChannel.
    def subscribed(link)
      Browser.new(self, "?user=7", link: link).opened.tap { |browser| browser.subscribe GATE }
    end

    def messages(ops)
      ops.select { |kind,| kind == "send" }.map { |_, frame| JSON.parse(frame)["message"] }
    end

    def ended?(link, number)
      link.frames.any? { |frame| frame["end"] == number }
    end

    def jobs
      ActiveJob::Base.queue_adapter.enqueued_jobs
    end
end
