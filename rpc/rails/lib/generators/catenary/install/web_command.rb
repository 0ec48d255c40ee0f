module Catenary
  module Generators
    # The command of a Procfile that starts Rails, put behind catenary.
    class WebCommand
      RAILS = /(\A|[ \/])(rails s(erver)?|puma)( |\z)/
      SHELL = /[&|;<>$`"'()#]|\A\w+=/ # catenary runs a program, not a shell
      PORT = / (?:-p ?|--port[ =])(\d+)(?= |\z)/
      BINDING = / (?:-b ?|--(?:binding|bind)[ =])([\w.:\/]+)(?= |\z)/

      def initialize(command, program)
        @command, @program = command, program
      end

      # The command with catenary in front; nil if it is not certain to work. catenary listens where
      # Rails did, and chooses Rails' own port.
      def behind_catenary
        if @command.match?(RAILS) && !@command.match?(SHELL) && (listen = listen_option)
          "#{@program}#{listen} -- #{@command.sub(PORT, "").sub(BINDING, "")}"
        end
      end

      private
        # Without a port, catenary takes PORT, which Foreman and Overmind set.
        def listen_option
          port, binding = @command[PORT, 1], @command[BINDING, 1]
          if port
            " --listen #{binding || "127.0.0.1"}:#{port}" unless binding&.include?(":")
          elsif binding.nil?
            ""
          end
        end
    end
  end
end
