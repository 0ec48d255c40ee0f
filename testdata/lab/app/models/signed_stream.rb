# Signs and verifies stream names as turbo-rails does.
module SignedStream
  extend self

  def sign(name, **options)
    verifier.generate(name, **options)
  end

  # Returns nil if the signature is wrong.
  def verified(signed_name)
    verifier.verified(signed_name)
  end

  private
    def verifier
      @verifier ||= ActiveSupport::MessageVerifier.new(
        Rails.application.key_generator.generate_key("turbo/signed_stream_verifier_key"), digest: "SHA256", serializer: JSON)
    end
end
