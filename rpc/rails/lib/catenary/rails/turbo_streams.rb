require "openssl"

module Catenary
  module Rails
    # Whether catenary may answer subscriptions to Turbo's streams (turbo.verify_streams). It may if
    # Turbo::StreamsChannel is turbo-rails' own, because then the signed name is the only condition.
    class TurboStreams
      SALT = "turbo/signed_stream_verifier_key"
      CHECK = "catenary turbo v1"

      def initialize(app)
        @app = app
      end

      # nil if there is no Turbo::StreamsChannel.
      def to_h
        { own: changes, key_check: OpenSSL::HMAC.hexdigest("SHA256", key, CHECK), unstamped: Stamps.new(@app).problem }.compact if channel
      rescue StandardError, ScriptError => error
        { own: "failed to inspect Turbo::StreamsChannel: #{error.message}" }
      end

      # Describes what the application has changed in the channel; nil if nothing.
      def changes
        if channel.nil?
          nil
        elsif (file = changed_in)
          "the application changes Turbo::StreamsChannel in #{file}"
        elsif (callbacks(channel) - callbacks(ActionCable::Channel::Base)).any?
          "the application adds subscribe callbacks to Turbo::StreamsChannel"
        end
      end

      private
        def channel
          "Turbo::StreamsChannel".safe_constantize
        end

        # The first file outside of turbo-rails that defines a method of the channel.
        def changed_in
          methods = (channel.instance_methods + channel.private_instance_methods).map { |name| channel.instance_method(name) }
          methods.reject! { |method| ActionCable::Channel::Base <= method.owner }
          files = methods.filter_map { |method| method.source_location&.first }
          files.find { |file| root.nil? || !file.start_with?("#{root}/") }
        end

        def root
          Turbo::Engine.root if defined?(Turbo::Engine)
        end

        def callbacks(channel)
          channel._subscribe_callbacks.to_a
        end

        def key
          Turbo.respond_to?(:signed_stream_verifier_key) ? Turbo.signed_stream_verifier_key : @app.key_generator.generate_key(SALT)
        end
    end
  end
end
