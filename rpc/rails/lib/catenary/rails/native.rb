module Catenary
  module Rails
    # Tells Rails' own methods from overrides in a subclass, a module, or Rails' class reopened.
    module Native
      SOURCE = File.dirname(ActionCable.method(:server).source_location.first)
      METHOD = Kernel.instance_method(:method) # a channel may define a `method` action of its own

      # Whether calling +name+ on +object+ runs code from the actioncable gem.
      def self.method?(object, name)
        METHOD.bind_call(object, name).source_location&.first.to_s.start_with?(SOURCE)
      end
    end
  end
end
