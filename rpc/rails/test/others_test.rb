require_relative "test_helper"

# Broadcasts that leave out a page.
class OthersTest < CallTest
  TOKEN = "0123456789abcdef"

  # The payload {"a":1} with the mark of TOKEN; cable/hub/others_test.go has the same.
  MARKED = "{\"a\":1}\t \t \r\n\r\n\n\t\r\r\n\t\r\r\t\t \t \t \t\r\r\t\r\n\r \n\t\r\n\n\t\r\n "

  Request = Struct.new(:headers)

  def test_the_mark_is_whitespace
    assert_equal MARKED, payload(TOKEN)
    assert_equal({ "a" => 1 }, ActiveSupport::JSON.decode(payload(TOKEN)))
  end

  def test_a_page_is_a_request_or_a_connection_or_a_token
    assert_equal MARKED, payload(Request.new({ "X-Catenary-Page" => TOKEN }))
    refute_equal MARKED, payload("another page's token")
    Browser.new(self, "?user=7&catenary_page=#{TOKEN}").opened
    connection = ObjectSpace.each_object(ActionCable::Connection::Base).find { |one| one.send(:request)&.params.to_h["catenary_page"] == TOKEN }
    assert_equal MARKED, payload(connection)
  end

  def test_without_a_valid_token_nothing_is_marked
    [nil, "", "x" * 15, "x" * 129, Request.new({}), Request.new({ "X-Catenary-Page" => "short" })].each do |page|
      assert_equal '{"a":1}', payload(page)
    end
  end

  def test_only_the_block_is_concerned
    Catenary.except(TOKEN) { Catenary.except("another page's token") { } }
    assert_raises(ArgumentError) { Catenary.except(TOKEN) { raise ArgumentError } }
    assert_equal ['{"a":1}'], published { |adapter| adapter.broadcast "room", '{"a":1}' }
    assert_kind_of Catenary::Rails::Others::Broadcasting, ActionCable.server.pubsub
  end

  private
    # An adapter that keeps what is broadcast.
    class Adapter
      attr_reader :payloads

      def broadcast(_channel, payload)
        (@payloads ||= []) << payload
      end
    end

    def payload(page)
      published { |adapter| Catenary.except(page) { adapter.broadcast "room", '{"a":1}' } }.first
    end

    # Returns the payloads that the block gives to the adapter.
    def published
      adapter = Adapter.new.extend(Catenary::Rails::Others::Broadcasting)
      yield adapter
      adapter.payloads
    end
end
