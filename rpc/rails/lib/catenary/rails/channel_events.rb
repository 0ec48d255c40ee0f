module Catenary
  module Rails
    # Prepended to ActionCable::Channel::Base. Reports by class what catenary counts: subscriptions
    # that are confirmed or rejected, and exceptions that no rescue_from has handled.
    module ChannelEvents
      def subscribe_to_channel
        ChannelEvents.report_exceptions(self) { super }
      end

      def unsubscribe_from_channel
        ChannelEvents.report_exceptions(self) { super }
      end

      def perform_action(data)
        ChannelEvents.report_exceptions(self) { super }
      end

      # Runs the block, which is the channel's code.
      def self.report_exceptions(channel)
        yield
      rescue Exception
        report channel, "raised"
        raise
      end

      def self.report(channel, event)
        recorder = channel.connection.try(:pubsub) # Rails' stub for tests has none
        recorder.report channel, event if Pubsub === recorder
      end

      private
        def transmit_subscription_confirmation
          ChannelEvents.report self, "confirmed" unless subscription_confirmation_sent?
          super
        end

        def transmit_subscription_rejection
          ChannelEvents.report self, "rejected"
          super
        end
    end
  end
end
