require "digest"

module Catenary
  # Sends what the block broadcasts to everybody but one page: usually the page that has caused it,
  # and has shown it already (docs/others.md).
  #
  #   Catenary.except(request) { RoomChannel.broadcast_to room, message }    # in a controller
  #   Catenary.except(connection) { RoomChannel.broadcast_to room, message } # in a channel
  #
  # page: a request or a connection of the page, or its token. If the page has sent no valid token,
  # the broadcast goes to everybody.
  def self.except(page, &block)
    Rails::Others.leave_out(page, &block)
  end

  module Rails
    # Marks broadcasts that leave out a page. The mark is whitespace at the end of the payload:
    # catenary removes it, and for every other subscriber the payload is the same JSON.
    module Others
      HEADER = "X-Catenary-Page"
      PARAMETER = "catenary_page" # of the cable's URL
      TOKEN_BYTES = (16..128)     # a shorter one could be guessed; the same in catenary (page.go)

      # The same in catenary (CutPage, CutTrailer): 64 bits of a digest, two in each character.
      HEAD = "\t \t \r\n\r\n"
      DIGITS = [" ", "\t", "\n", "\r"]

      MARK = :catenary_mark # fiber-local

      # Extends the application's pub/sub adapter.
      module Broadcasting
        def broadcast(channel, payload)
          mark = Thread.current[MARK]
          super(channel, mark ? "#{payload}#{mark}" : payload)
        end
      end

      class << self
        def leave_out(page)
          outer = Thread.current[MARK]
          Thread.current[MARK] = mark(token(page))
          yield
        ensure
          Thread.current[MARK] = outer
        end

        private
          def token(page)
            case page
            when nil, String then page
            when ActionCable::Connection::Base then page.send(:request).params[PARAMETER]
            else page.headers[HEADER]
            end
          end

          def mark(token)
            return unless token.is_a?(String) && TOKEN_BYTES.cover?(token.bytesize)
            bits = Digest::SHA256.digest(token).unpack1("Q>")
            HEAD + 62.step(0, -2).map { |shift| DIGITS[bits >> shift & 3] }.join
          end
      end
    end
  end
end
