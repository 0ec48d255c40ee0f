require "openssl"
require "securerandom"

module Catenary
  module Rails
    # Stamps what turbo_stream_from renders with the time and a nonce of the rendering. The element
    # sends the stamp with every subscribe, so that catenary knows how old its page is, and refreshes
    # it if it may have missed broadcasts (docs/catch-up.md).
    class Stamps
      ATTRIBUTE = "data-catenary-stamp" # becomes catenary_stamp in the subscription's identifier
      BYTES = 12                        # of the HMAC
      IN_REQUEST = "catenary.stamp"
      MORPHS = /<meta\b(?=[^>]*\bturbo-refresh-method\b)[^>]*\bmorph\b/

      class << self
        attr_accessor :installed # the Stamps that Helper and Pages use
      end

      def initialize(app)
        @app, @secret, @refused = app, Secret.new(app), Concurrent::Set.new
      end

      # Why pages are not stamped; nil if they are.
      def problem
        if setting != "refresh"
          "the application does not stamp pages: turbo.catch_up is not \"refresh\" in its config/catenary.yml or CATENARY_TURBO_CATCH_UP"
        elsif !"Turbo::StreamsHelper".safe_constantize || !"Turbo::DriveHelper".safe_constantize&.method_defined?(:turbo_refreshes_with)
          "page refreshes need Turbo 8: update turbo-rails to 2.0 or later"
        end
      end

      def install
        return if problem
        self.class.installed = self
        Turbo::StreamsHelper.prepend Helper
        ActiveSupport.on_load(:action_controller_base) { prepend Pages }
      end

      # The stamp of the page that a view renders; nil if it must not have one.
      def for(view, channel)
        return unless channel.nil? || channels.include?(channel.to_s)
        return unless page?(view.controller) && !Versions.caching?(view)
        view.controller.request.env[IN_REQUEST] ||= sign("#{Time.now.to_i.to_s(36)}.#{SecureRandom.urlsafe_base64(8)}")
      end

      # Removes the stamps of a page that Turbo would replace as a whole, with what its user types.
      def refuse_unless_morphing(controller)
        return unless controller.request.env[IN_REQUEST] && controller.response_body.is_a?(Array)
        html = controller.response.body
        return if MORPHS.match?(html)
        controller.response.body = html.gsub(/ #{ATTRIBUTE}="[^"]*"/o, "")
        action = "#{controller.class}##{controller.action_name}"
        return unless @refused.add?(action)
        ::Rails.logger&.warn "[catenary] the pages of #{action} do not catch up, because they do not morph: add turbo_refreshes_with method: :morph, scroll: :preserve"
      end

      def sign(text)
        @key ||= @secret.stamp_key
        "#{text}.#{[OpenSSL::HMAC.digest("SHA256", @key, text).byteslice(0, BYTES)].pack("m0").tr("+/", "-_")}"
      end

      # In views.
      module Helper
        def turbo_stream_from(*streamables, **attributes)
          stamp = Stamps.installed.for(self, attributes[:channel])
          stamp ? super(*streamables, **attributes, "#{ATTRIBUTE}": stamp) : super
        end
      end

      # In controllers.
      module Pages
        private
          def process_action(*)
            super.tap { Stamps.installed.refuse_unless_morphing(self) }
          end
      end

      private
        def channels
          @channels ||= ["Turbo::StreamsChannel", *@app.config.catenary.catch_up_channels].map(&:to_s)
        end

        # Whether it renders a whole page for one browser, which no cache keeps.
        def page?(controller)
          controller.is_a?(ActionController::Base) && controller.action_name && controller.request.get? &&
            !controller.request.headers["Turbo-Frame"] && !cached?(controller.response)
        end

        # A browser that has the page in its cache would show it again with its old stamp.
        def cached?(response)
          response.etag || response.last_modified || response.cache_control[:public] || response.cache_control[:max_age].to_i > 0
        end

        def setting
          @setting ||= ENV["CATENARY_TURBO_CATCH_UP"].presence || configured || "none"
        end

        # As catenary reads it.
        def configured
          @app.config_for(:catenary)&.dig(:turbo, :catch_up) if @app.root.join("config/catenary.yml").file?
        rescue StandardError => error
          ::Rails.logger&.warn "[catenary] failed to read config/catenary.yml: #{error.message}"
          nil
        end
    end
  end
end
