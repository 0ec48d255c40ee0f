require "fileutils"
require "tmpdir"

# Files of an application that a test has audited, in this process.
module Audited
  Audit = Catenary::Rails::Audit

  # A channel whose class has this body. files: of the application, texts by path.
  def channel(body, files = {})
    subject "AChannel", { "app/channels/a_channel.rb" => "class AChannel < ActionCable::Channel::Base\n#{body}\nend\n" }.merge(files)
  end

  def connection(body, files = {})
    subject "AConnection", { "app/channels/a_connection.rb" => "class AConnection < ActionCable::Connection::Base\n#{body}\nend\n" }.merge(files)
  end

  # The audit of that class. What stands in app/models is not loaded, but can be.
  def subject(name, files)
    application(files) { |sources| audited(name.constantize, sources) }
  end

  # What is found in files outside of channels. Nothing of them is loaded.
  def elsewhere(files)
    application(files, "nothing") { |sources| Audit::Elsewhere.new(sources, []).audit(Audit::ELSEWHERE_CHECKS) }
  end

  def audited(type, sources)
    Audit::Subject.new(type, sources).tap { |subject| subject.audit(subject.connection? ? Audit::CONNECTION_CHECKS : Audit::CHANNEL_CHECKS) }
  end

  def application(files, loaded = "app/channels")
    root = File.realpath(Dir.mktmpdir("catenary-audit"))
    files.each do |path, text|
      FileUtils.mkdir_p File.dirname("#{root}/#{path}")
      File.write "#{root}/#{path}", text
    end
    paths, constants = ActiveSupport::Dependencies.autoload_paths, Object.constants
    ActiveSupport::Dependencies.autoload_paths = paths + ["#{root}/app/models"]
    Dir.glob("#{root}/#{loaded}/**/*.rb").sort.each { |file| load file }
    yield Audit::Sources.new(root)
  ensure
    ActiveSupport::Dependencies.autoload_paths = paths
    (Object.constants - constants).each { |name| Object.send :remove_const, name if from?(root, name) }
    FileUtils.rm_rf root
  end

  # Whether a constant is the application's. What Ruby or Rails has loaded meanwhile stays.
  def from?(root, name)
    Object.const_source_location(name)&.first&.start_with?(root)
  end

  # rule:line code
  def told(findings)
    findings.map { |finding| "#{finding.rule}:#{finding.line} #{finding.code}" }
  end

  def assert_found(expected, findings, message = nil)
    assert_equal Array(expected), told(findings), message
  end

  def assert_code(expected, code, message)
    expected ? assert_equal(expected, code, message) : assert_nil(code, message)
  end

  # The code of the first finding of a rule, or nil.
  def first(rule, subject)
    subject.findings.find { |finding| finding.rule == rule }&.code
  end

  # What it runs as, by its own code.
  def runs(subject)
    Audit::RUNS[subject.findings.map(&:rank).max || 0]
  end
end
