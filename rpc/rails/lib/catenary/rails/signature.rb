require "openssl"

module Catenary
  module Rails
    # Checks that a request comes from a holder of the secret, is fresh, and is not a repetition.
    class Signature
      WINDOW = 60 # seconds, to either side

      POST = "v1"
      LINK = "link v1"

      def initialize(secret)
        @secret = secret
        @nonces = Nonces.new(2 * WINDOW)
        @mutex = Mutex.new
      end

      # nil, or the text that says why the request is refused. kind: POST or LINK. text: what else is signed.
      def problem(env, kind, text, now = Time.now.to_i)
        time, nonce, signature = env.values_at("HTTP_CATENARY_TIME", "HTTP_CATENARY_NONCE", "HTTP_CATENARY_SIGNATURE")

        if time.nil? || nonce.nil? || signature.nil?
          "the call is not signed: Catenary-Time, Catenary-Nonce and Catenary-Signature are needed"
        elsif !nonce.match?(/\A\h{32}\z/)
          "Catenary-Nonce must be 32 hexadecimal digits"
        elsif !time.match?(/\A\d{1,12}\z/) || (now - time.to_i).abs > WINDOW
          "the call's time is more than #{WINDOW} s from ours: do the clocks agree?"
        elsif !same?(signature, expected(kind, time, nonce, text))
          "the signature is wrong: catenary must have the same secret as the application, here #{@secret.origin}"
        elsif !@nonces.add?(nonce)
          "the call is a repetition of an earlier one"
        end
      end

      private
        # Setting up an HMAC takes OpenSSL several times as long as a short call's digest.
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
