require "openssl"

module Catenary
  module Rails
    # Whether catenary may answer for Turbo's streams (turbo.verify_streams): only if the signed name is all that is asked for,
    # because Turbo::StreamsChannel is as turbo-rails has it.
    class TurboStreams
      SALT = "turbo/signed_stream_verifier_key"
      CHECK = "catenary turbo v1"

      def initialize(app)
        @app = app
      end

      # nil if there is no such channel.
      def to_h
        { own: own, key_check: OpenSSL::HMAC.hexdigest("SHA256", key, CHECK) }.compact if channel
      rescue StandardError, ScriptError => error
        { own: "Turbo::StreamsChannel cannot be looked at: #{error.message}" }
      end

      # What the application has made of the channel, or nil.
      def own
        if channel.nil?
          nil
        elsif file = own_file
          "the application changes Turbo::StreamsChannel in #{file}"
        elsif (callbacks(channel) - callbacks(ActionCable::Channel::Base)).any?
          "Turbo::StreamsChannel has callbacks of the application's before, after or around subscribed"
        end
      end

      private
        def channel
          "Turbo::StreamsChannel".safe_constantize
        end

        # The first file outside of turbo-rails that has a method of the channel's.
        def own_file
          methods = (channel.instance_methods + channel.private_instance_methods).map { |name| channel.instance_method(name) }
          files = methods.reject { |method| ActionCable::Channel::Base <= method.owner }.filter_map { |method| method.source_location&.first }
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
