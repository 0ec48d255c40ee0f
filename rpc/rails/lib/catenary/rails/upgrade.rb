require "openssl"
require "securerandom"

module Catenary
  module Rails
    # Turns a signed request into a link (docs/rpc.md, "The link").
    class Upgrade
      PROTOCOL = "catenary" # in the Upgrade header

      # What the request's signature covers, besides time and nonce.
      def self.signed(env)
        env.values_at("HTTP_CATENARY_NODE", "HTTP_CATENARY_FRAMES", "HTTP_CATENARY_KNOWN").join("\n")
      end

      def initialize(endpoint, secret)
        @endpoint, @secret = endpoint, secret
      end

      # Returns the Rack response. direct: whether the peer is on this machine, without a proxy.
      def answer(env, direct:)
        return refuse(426, "upgrade" => PROTOCOL, "connection" => "Upgrade") unless env["HTTP_UPGRADE"].to_s.casecmp?(PROTOCOL)
        return refuse(501) unless env["rack.hijack"]
        return refuse(409, "catenary-process" => process) if env["HTTP_CATENARY_KNOWN"].to_s.split.include?(process)

        io = hijack(env)
        io ? open(io, env, direct) : refuse(501)
      end

      private
        def process
          @endpoint.process.to_s
        end

        def hijack(env)
          io = env["rack.hijack"].call
          io.respond_to?(:read_nonblock) ? io : env["rack.hijack_io"]
        rescue StandardError, NotImplementedError => error
          ::Rails.logger&.error "[catenary] the web server cannot hijack a connection: #{error.message} (#{error.class})"
          nil
        end

        def open(io, env, direct)
          keys = Keys.new(@secret.rpc_key, env["HTTP_CATENARY_NONCE"])
          plain = env["HTTP_CATENARY_FRAMES"] == "plain" && (direct || encrypted?(io, env))
          framing = Framing.new(io, keys: plain ? nil : keys.for_macs)
          if framing.write_head(head(keys, plain ? "plain" : "mac"))
            link = Link.new(@endpoint, framing, env["HTTP_CATENARY_NODE"].to_s, env.slice(*Handshake::SERVER_KEYS),
              proof: keys.proof_of_catenary, proof_seconds: @endpoint.proof_seconds) { @endpoint.hello(env, trusted: plain) }
            @endpoint.links.add link, (::Puma::Server.current if defined?(::Puma::Server))
          end
          [-1, {}, []] # makes the web server forget the connection
        end

        # Whether Puma itself has terminated the peer's TLS.
        def encrypted?(io, env)
          defined?(::Puma::MiniSSL::Socket) && io.is_a?(::Puma::MiniSSL::Socket) && !Middleware.forwarded?(env)
        end

        def head(keys, frames)
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: #{PROTOCOL}\r\nCatenary-Process: #{process}\r\n" \
            "Catenary-Nonce: #{keys.nonce}\r\nCatenary-Frames: #{frames}\r\nCatenary-Proof: #{keys.proof(process, frames)}\r\n\r\n"
        end

        def refuse(status, headers = {})
          [status, { "content-type" => "text/plain; charset=utf-8", "content-length" => "0" }.merge!(headers), []]
        end

        # Keys and proofs that both sides derive from the secret and their two nonces.
        class Keys
          attr_reader :nonce # ours

          def initialize(key, their_nonce)
            @key, @their_nonce, @nonce = key, their_nonce, SecureRandom.hex(16)
            @link = OpenSSL::HMAC.digest("SHA256", key, "link v1 key\n#{@their_nonce}\n#{@nonce}")
          end

          # Those of the frames that we read, and of the frames that we write.
          def for_macs
            %w[catenary rails].map { |sender| OpenSSL::HMAC.digest("SHA256", @link, sender) }
          end

          # Our proof that we have the secret.
          def proof(process, frames)
            OpenSSL::HMAC.hexdigest("SHA256", @key, "link v1 proof\n#{@their_nonce}\n#{@nonce}\n#{process}\n#{frames}")
          end

          def proof_of_catenary
            OpenSSL::HMAC.hexdigest("SHA256", @link, "open")
          end
        end
        private_constant :Keys
    end
  end
end
