require "test_helper"
require "rails/generators/test_case"
require "tmpdir"
require "yaml"
require "generators/catenary/install/install_generator"

class InstallGeneratorTest < Rails::Generators::TestCase
  tests Catenary::Generators::InstallGenerator
  destination File.join(Dir.tmpdir, "catenary-install-#{Process.pid}")
  setup :prepare_destination
  teardown { FileUtils.rm_rf destination_root }

  RUBY_BIN_DEV = %(#!/usr/bin/env ruby\nexec "./bin/rails", "server", *ARGV\n)
  RAILS_8_DOCKERFILE = %(EXPOSE 80\nCMD ["./bin/thrust", "./bin/rails", "server"]\n)
  RAILS_7_DOCKERFILE = %(EXPOSE 3000\nCMD ["./bin/rails", "server"]\n)
  RAILS_7_ENTRYPOINT = %(#!/bin/bash -e\nif [ "${1}" == "./bin/rails" ] && [ "${2}" == "server" ]; then\n  ./bin/rails db:prepare\nfi\nexec "${@}"\n)

  def test_adds_settings_and_reports_how_to_undo_it
    output = run_generator
    assert_file("config/catenary.yml") { |text| assert_equal %w[production shared], YAML.load(text).keys.sort }
    assert_match "create  config/catenary.yml", output
    assert_match "Start the app with catenary -- bin/rails server. Pages and WebSockets are then on one port, 8080 unless PORT is set.", output
    assert_match "Production: send /cable to catenary in nginx or HAProxy", output
    assert_match "bin/rails destroy catenary:install", output
  end

  def test_puts_the_web_process_of_procfile_dev_behind_catenary
    {
      "bin/rails server" => "catenary -- bin/rails server",
      "env RUBY_DEBUG_OPEN=true bin/rails server" => "catenary -- env RUBY_DEBUG_OPEN=true bin/rails server",
      "bin/rails server -p 3000" => "catenary --listen 127.0.0.1:3000 -- bin/rails server",
      "bin/rails s --port=4000 -b 0.0.0.0" => "catenary --listen 0.0.0.0:4000 -- bin/rails s",
      "bundle exec puma -C config/puma.rb" => "catenary -- bundle exec puma -C config/puma.rb"
    }.each do |before, after|
      write "Procfile.dev", "web: #{before}\njs: yarn build --watch\n"
      assert_match "Start the app with bin/dev", run_generator
      assert_file "Procfile.dev", "# Before catenary:install: web: #{before}\nweb: #{after}\njs: yarn build --watch\n"
    end
  end

  def test_leaves_a_web_process_that_may_need_a_shell_and_tells_what_to_do
    ["unset PORT && bin/rails server", "PORT=3000 bin/rails s", "bin/start", "puma -b tcp://0.0.0.0:3000", "bin/rails s -b 0.0.0.0", "rails-of-ours server"].each do |command|
      write "Procfile.dev", "web: #{command}\n"
      assert_match "have the line \"web\" start Rails with: catenary -- bin/rails server", run_generator
      assert_file "Procfile.dev", "web: #{command}\n"
    end
  end

  def test_puts_bin_dev_behind_catenary_at_the_port_of_rails
    write "bin/dev", RUBY_BIN_DEV
    run_generator
    assert_file "bin/dev", <<~'RUBY'
      #!/usr/bin/env ruby
      # Before catenary:install: exec "./bin/rails", "server", *ARGV
      exec({ "PORT" => ENV["PORT"] || "3000" }, "catenary", "--", "./bin/rails", "server", *ARGV)
    RUBY
  end

  def test_comments_the_dockerfile_and_config_deploy_yml
    write "Dockerfile", RAILS_8_DOCKERFILE
    write "config/deploy.yml", "service: app\n"
    assert_match "Production: see the comment in Dockerfile and config/deploy.yml", run_generator
    assert_file "Dockerfile", "EXPOSE 80\n# With catenary: CMD [\"./bin/thrust\", \"catenary\", \"--\", \"./bin/rails\", \"server\"]\n" + RAILS_8_DOCKERFILE.lines.last
    assert_file("config/deploy.yml") do |text|
      assert_match(/\Aservice: app\n\n# catenary: .*deploy.md#kamal\n\z/m, text)
      assert_equal({ "service" => "app" }, YAML.load(text))
    end
  end

  def test_without_thruster_catenary_listens_where_rails_did_and_the_entrypoint_must_change
    write "Dockerfile", RAILS_7_DOCKERFILE
    write "bin/docker-entrypoint", RAILS_7_ENTRYPOINT
    assert_match "db:prepare no longer runs", run_generator
    assert_file "Dockerfile", /^# With catenary: CMD \["catenary", "--listen", ":3000", "--", "\.\/bin\/rails", "server"\]$/
  end

  def test_overwrites_nothing_and_changes_nothing_when_run_again
    write "config/catenary.yml", "shared: {}\n"
    write_everything_that_changes
    run_generator
    once = files
    assert_match "exist  config/catenary.yml", run_generator
    assert_equal once, files
    assert_equal "shared: {}\n", once["config/catenary.yml"]
  end

  def test_destroy_restores_every_file
    write_everything_that_changes
    before = files
    run_generator
    changed = before.keys.reject { |path| before[path] == files[path] }
    assert_equal ["Dockerfile", "Procfile.dev", "config/deploy.yml"], changed.sort
    assert_match "Action Cable works as before", run_generator([], behavior: :revoke)
    assert_equal before, files

    File.delete File.join(destination_root, "Procfile.dev")
    run_generator
    run_generator [], behavior: :revoke
    assert_equal before.except("Procfile.dev"), files
  end

  def test_destroy_keeps_settings_that_were_edited
    run_generator
    write "config/catenary.yml", "shared: {}\n"
    assert_match "keep  config/catenary.yml, which has been edited", run_generator([], behavior: :revoke)
    assert_file "config/catenary.yml", "shared: {}\n"
    File.delete File.join(destination_root, "config/catenary.yml")
    run_generator [], behavior: :revoke
  end

  def test_pretend_changes_nothing
    write_everything_that_changes
    before = files
    run_generator ["--pretend"]
    assert_equal before, files
  end

  def test_the_gem_contains_the_generator_and_rails_finds_it
    folder = File.expand_path("..", __dir__)
    assert_includes Gem::Specification.load(File.join(folder, "catenary-rails.gemspec")).files, "lib/generators/catenary/install/templates/catenary.yml"
    assert_equal Catenary::Generators::InstallGenerator, Rails::Generators.find_by_namespace("catenary:install")
  end

  private
    def write(path, text)
      path = File.join(destination_root, path)
      FileUtils.mkdir_p File.dirname(path)
      File.write(path, text)
    end

    def write_everything_that_changes
      write "Procfile.dev", "web: bin/rails server -p 3000\ncss: bin/rails tailwindcss:watch\n"
      write "bin/dev", RUBY_BIN_DEV
      write "Dockerfile", RAILS_8_DOCKERFILE
      write "config/deploy.yml", "service: app\n"
      write "config/database.yml", "test: {}\n"
    end

    # All files by their path.
    def files
      Dir.glob("**/*", base: destination_root).select { |path| File.file?(File.join(destination_root, path)) }.
        to_h { |path| [path, File.read(File.join(destination_root, path))] }
    end
end

class InstallGeneratorWithBinaryTest < Rails::Generators::TestCase
  class Generator < Catenary::Generators::InstallGenerator
    source_root superclass.source_root

    def self.carries_binary?
      true
    end
  end

  tests Generator
  destination File.join(Dir.tmpdir, "catenary-install-binary-#{Process.pid}")
  setup :prepare_destination
  teardown { FileUtils.rm_rf destination_root }

  def test_starts_the_program_that_the_gem_carries
    FileUtils.mkdir_p File.join(destination_root, "bin")
    File.write File.join(destination_root, "bin/dev"), InstallGeneratorTest::RUBY_BIN_DEV
    File.write File.join(destination_root, "Dockerfile"), InstallGeneratorTest::RAILS_8_DOCKERFILE
    run_generator
    assert_file "bin/dev", /"bundle", "exec", "catenary", "--", "\.\/bin\/rails", "server"/
    assert_file "Dockerfile", /"\.\/bin\/thrust", "bundle", "exec", "catenary", "--", "\.\/bin\/rails", "server"/
  end
end
