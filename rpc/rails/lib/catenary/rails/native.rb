module Catenary
  module Rails
    # Tells Rails' own methods from those that an application or a gem has put in their place, by a subclass, a module or in the
    # very class.
    module Native
      SOURCE = File.dirname(ActionCable.method(:server).source_location.first)
      METHOD = Kernel.instance_method(:method) # of which a channel may have one of its own

      def self.method?(object, name)
        METHOD.bind_call(object, name).source_location&.first.to_s.start_with?(SOURCE)
      end
    end
  end
end
