require "rails/generators/base"
require_relative "commented_line"
require_relative "web_command"

module Catenary
  module Generators
    # bin/rails generate catenary:install. `bin/rails destroy catenary:install` undoes it.
    class InstallGenerator < ::Rails::Generators::Base
      DOCS = "https://github.com/catenary-cable/catenary/blob/main/docs"
      SETTINGS = "config/catenary.yml"
      DEPLOY_COMMENT = <<~YAML

        # catenary: with the CMD that Dockerfile shows, a deploy disconnects browsers, as before.
        # As an accessory, catenary keeps them connected: #{DOCS}/deploy.md#kamal
      YAML

      desc "Sets up catenary: config/catenary.yml, the development server, and comments where the " \
        "deployment changes. Overwrites nothing, and can be run again. " \
        "Undo: bin/rails destroy catenary:install"
      source_root File.expand_path("templates", __dir__)

      # As the gems for a platform do.
      def self.carries_binary?
        File.exist?(File.expand_path("../../../../libexec/catenary", __dir__))
      end

      def settings
        revoking? ? remove_settings : add_settings
      end

      def development
        path = ["Procfile.dev", "bin/dev"].find { |file| exists?(file) }
        return unless path

        change(path) do |text|
          if revoking?
            CommentedLine.restore(text)
          else
            path == "bin/dev" ? behind_catenary_in_script(text) : behind_catenary_in_procfile(text)
          end
        end
      end

      def production
        comment_in("Dockerfile", docker_comment) do |text, comment|
          text.sub(docker_command) { "#{comment}#{$&}" }
        end
        comment_in("config/deploy.yml", DEPLOY_COMMENT) { |text, comment| "#{text}#{comment}" }
      end

      def report
        say revoking? ? undone : done
      end

      private
        def revoking?
          behavior == :revoke
        end

        def add_settings
          if exists?(SETTINGS)
            say_status :exist, SETTINGS, :blue
          else
            copy_file "catenary.yml", SETTINGS
          end
        end

        def remove_settings
          if exists?(SETTINGS) && read(SETTINGS) != File.binread(find_in_source_paths("catenary.yml"))
            say_status :keep, "#{SETTINGS}, which has been edited", :yellow
          else
            copy_file "catenary.yml", SETTINGS # removes it
          end
        end

        def behind_catenary_in_procfile(text)
          line = text[/^web:.*$/].to_s.chomp
          return text if line.include?("catenary")

          command = WebCommand.new(line.delete_prefix("web:").strip, program).behind_catenary
          if command
            CommentedLine.replace(text, line, "web: #{command}")
          else
            advise %(Procfile.dev: have the line "web" start Rails with: #{program} -- bin/rails server)
            text
          end
        end

        def behind_catenary_in_script(text)
          line = text[/^exec "\.\/bin\/rails", "server", \*ARGV$/]
          return text if text.include?("catenary")

          if line
            words = quoted(*program.split, "--", "./bin/rails", "server")
            CommentedLine.replace(text, line, %(exec({ "PORT" => ENV["PORT"] || "3000" }, #{words}, *ARGV)))
          else
            advise "bin/dev: have it start Rails with: #{program} -- bin/rails server"
            text
          end
        end

        # Where Rails is the image's command, perhaps behind Thruster.
        def docker_command
          /^CMD \[("\.\/bin\/thrust", )?"\.\/bin\/rails", "server"\]$/
        end

        # Thruster sets the port. Without it, catenary takes that of Rails.
        def docker_comment
          return unless exists?("Dockerfile") && (command = read("Dockerfile")[docker_command])

          words = program.split
          command.include?("thrust") ? words.unshift("./bin/thrust") : words.push("--listen", ":3000")
          "# With catenary: CMD [#{quoted(*words, "--", "./bin/rails", "server")}]\n"
        end

        def comment_in(path, comment)
          return unless comment && exists?(path)

          change(path) do |text|
            if revoking?
              text.sub(comment, "")
            else
              text.include?(comment) ? text : yield(text, comment)
            end
          end
        end

        def change(path)
          before = read(path)
          after = yield before
          if after == before
            say_status :unchanged, path, :blue
          else
            say_status revoking? ? :restore : :change, path, :green
            File.binwrite(absolute(path), after) unless options[:pretend]
          end
        end

        def done
          steps = [start, *advice, *pool, *entrypoint, production_step,
            "Which channels need a change: #{program} audit. Whether browsers get through: #{program} doctor",
            "Undo: bin/rails destroy catenary:install; then take catenary-rails out of the Gemfile."]
          "\n#{steps.map { |step| "  * #{step}\n" }.join}\n"
        end

        def undone
          "\n  Take catenary-rails out of the Gemfile, and start Rails without catenary: " \
            "Action Cable works as before.\n\n"
        end

        def start
          if mention?("Procfile.dev") || mention?("bin/dev")
            "Start the app with bin/dev. Pages and WebSockets are then on one port."
          else
            "Start the app with #{program} -- bin/rails server. Pages and WebSockets are then on one port, " \
              "8080 unless PORT is set."
          end
        end

        def pool
          if exists?("config/database.yml")
            workers = ::Rails.application.config.action_cable.worker_pool_size || 4
            "config/database.yml: raise pool (max_connections since Rails 8.1) by #{workers}, " \
              "for the threads that run channels."
          end
        end

        # Before Rails 8, it looks for "./bin/rails server" only in the first words.
        def entrypoint
          path = "bin/docker-entrypoint"
          if exists?(path) && read(path).include?('"${1}" == "./bin/rails"')
            "#{path}: compare \"${@: -2:1}\" and \"${@: -1:1}\" in place of \"${1}\" and \"${2}\", " \
              "or db:prepare no longer runs."
          end
        end

        def production_step
          commented = ["Dockerfile", "config/deploy.yml"].select { |path| mention?(path) }
          what = commented.any? ? "see the comment in #{commented.join(" and ")}" : "send /cable to catenary in nginx or HAProxy"
          "Production: #{what}. Each kind of deployment: #{DOCS}/deploy.md"
        end

        def advise(text)
          advice << text
        end

        def advice
          @advice ||= []
        end

        def program
          self.class.carries_binary? ? "bundle exec catenary" : "catenary"
        end

        def quoted(*words)
          words.map(&:inspect).join(", ")
        end

        def exists?(path)
          File.exist?(absolute(path))
        end

        def mention?(path)
          exists?(path) && read(path).include?("catenary")
        end

        def read(path)
          File.binread(absolute(path)).force_encoding(Encoding::UTF_8)
        end

        def absolute(path)
          File.expand_path(path, destination_root)
        end
    end
  end
end
