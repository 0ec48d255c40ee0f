require "openssl"

module Catenary
  module Rails
    # Checks that a request was signed with the secret, recently, and is not a replay (docs/rpc.md,
    # "The secret").
    class Signature
      WINDOW = 60 # seconds, in either direction

      # Kinds of requests.
      POST = "v1"
      LINK = "link v1"

      def initialize(secret)
        @secret = secret
        @nonces = Nonces.new(2 * WINDOW)
        @mutex = Mutex.new
      end

      # Returns the reason to refuse the request, or nil. kind: POST or LINK. text: what the
      # signature covers besides time and nonce.
      def problem(env, kind, text, now = Time.now.to_i)
        time, nonce, signature = env.values_at("HTTP_CATENARY_TIME", "HTTP_CATENARY_NONCE", "HTTP_CATENARY_SIGNATURE")

        if time.nil? || nonce.nil? || signature.nil?
          "the call is not signed: it needs Catenary-Time, Catenary-Nonce and Catenary-Signature"
        elsif !nonce.match?(/\A\h{32}\z/)
          "Catenary-Nonce must have 32 hexadecimal digits"
        elsif !time.match?(/\A\d{1,12}\z/) || (now - time.to_i).abs > WINDOW
          "the call's time differs from ours by more than #{WINDOW} s: compare the clocks"
        elsif !same?(signature, expected(kind, time, nonce, text))
          "the signature is wrong: catenary must have the application's secret, which comes from #{@secret.source}"
        elsif !@nonces.add?(nonce)
          "the call is a replay"
        end
      end

      private
        # Reuses one HMAC: setting it up costs several times as much as the digest of a short call.
        def expected(kind, time, nonce, text)
          @mutex.synchronize do
            @hmac ||= OpenSSL::HMAC.new(@secret.rpc_key, "SHA256")
            @hmac.reset
            @hmac << "#{kind}\n#{time}\n#{nonce}\n" << text
            @hmac.hexdigest
          end
        end

        def same?(given, expected)
          given.bytesize == expected.bytesize && OpenSSL.fixed_length_secure_compare(given, expected)
        end
    end
  end
end
