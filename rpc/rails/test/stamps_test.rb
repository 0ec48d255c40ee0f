require_relative "test_helper"
require "action_controller/railtie"

# Stamps of turbo_stream_from, with a fake turbo-rails.
class StampsTest < CallTest
  module StreamsHelper
    def turbo_stream_from(*streamables, **attributes)
      tag.turbo_cable_stream_source(**attributes.merge("signed-stream-name": streamables.join(":")))
    end
  end

  module DriveHelper
    def turbo_refreshes_with; end
  end

  class PagesController < ActionController::Base
    helper StreamsHelper
    skip_forgery_protection

    cattr_accessor :page, :prepare

    def show
      instance_exec(&prepare) if prepare
      render inline: page unless performed?
    end
  end

  STAMP = /data-catenary-stamp="([^"]*)"/
  MORPHING = %(<meta name="turbo-refresh-method" content="morph">)
  SOURCE = %(<%= turbo_stream_from "board" %>)

  def setup
    super
    ENV["CATENARY_TURBO_CATCH_UP"] = "refresh"
    Object.const_set :Turbo, Module.new
    Turbo.const_set :StreamsHelper, StreamsHelper
    Turbo.const_set :DriveHelper, DriveHelper
    self.class.stamps.install
    PagesController.page, PagesController.prepare = MORPHING + SOURCE, nil
  end

  def teardown
    ENV.delete "CATENARY_TURBO_CATCH_UP"
    Object.send :remove_const, :Turbo
  end

  def self.stamps
    @stamps ||= Catenary::Rails::Stamps.new(::Rails.application)
  end

  # The same text is in stamp_test.go.
  def test_catenary_reads_what_is_signed_here
    secret = Struct.new(:stamp_key).new(OpenSSL::HMAC.digest("SHA256", "a secret", "catenary stamp v1"))
    stamps = Catenary::Rails::Stamps.new(::Rails.application)
    stamps.instance_variable_set :@secret, secret
    assert_equal "tp65dc.bm9uY2U.R8yhXHwxlLQhMaG2", stamps.sign("tp65dc.bm9uY2U")
  end

  def test_all_elements_of_a_page_have_its_stamp_and_no_other_page_has_it
    PagesController.page = MORPHING + SOURCE + SOURCE
    stamps = [get.scan(STAMP), get.scan(STAMP)].map(&:flatten)
    assert_equal [2, 2], stamps.map(&:size)
    assert_equal [1, 1], stamps.map { |page| page.uniq.size }
    refute_equal(*stamps.map(&:first))
    assert_in_delta Time.now.to_i, stamps.first.first[/\A\w+/].to_i(36), 5
  end

  def test_other_attributes_stay
    PagesController.page = MORPHING + %(<%= turbo_stream_from "board", data: { room: 1 }, class: "x" %>)
    assert_match(/data-room="1".* class="x"/, get)
    assert_match STAMP, get
  end

  def test_other_channels_are_stamped_if_they_are_listed
    PagesController.page = MORPHING + %(<%= turbo_stream_from "board", channel: "RoomChannel" %>)
    refute_match STAMP, get
    list "RoomChannel"
    assert_match STAMP, get
    PagesController.page = MORPHING + SOURCE
    assert_match STAMP, get
  ensure
    list
  end

  def test_only_whole_pages_are_stamped
    refute_match STAMP, get("HTTP_TURBO_FRAME" => "frame")
    refute_match STAMP, get("REQUEST_METHOD" => "POST")
    refute_match STAMP, PagesController.render(inline: MORPHING + SOURCE)
  end

  def test_pages_that_caches_may_keep_are_not_stamped
    [-> { fresh_when etag: "a", template: false }, -> { fresh_when last_modified: Time.utc(2026), template: false },
     -> { expires_in 5.minutes }, -> { expires_in 0, public: true }].each do |prepare|
      PagesController.prepare = prepare
      html = get
      assert_match "turbo-cable-stream-source", html
      refute_match STAMP, html
    end
  end

  def test_cached_fragments_are_not_stamped
    skip "Rails 6.1 does not know what is cached" unless ActionView::Base.method_defined?(:caching?)
    PagesController.cache_store = :memory_store
    PagesController.perform_caching = true
    PagesController.page = MORPHING + %(<% cache "board", skip_digest: true do %>#{SOURCE}<% end %>)
    refute_match STAMP, get
  ensure
    PagesController.perform_caching = false
  end

  def test_pages_that_do_not_morph_are_left_alone_with_one_warning
    [%(<meta name="turbo-refresh-method" content="replace">morph), "", %(<meta name="other" content="morph">)].each do |head|
      PagesController.page = head + SOURCE
      html = get
      assert_match "turbo-cable-stream-source", html
      refute_match STAMP, html
    end
    assert_equal 1, LOG.string.scan("the pages of StampsTest::PagesController#show do not catch up").size
    PagesController.page = %(<meta content='morph' name='turbo-refresh-method'>) + SOURCE
    assert_match STAMP, get
  end

  def test_settings_say_why_pages_are_not_stamped
    assert_nil self.class.stamps.problem
    Turbo.send :remove_const, :DriveHelper
    assert_match "update turbo-rails to 2.0", problem
    ENV.delete "CATENARY_TURBO_CATCH_UP"
    assert_match "does not stamp pages", problem
  end

  def test_the_setting_is_read_from_catenary_yml
    ENV.delete "CATENARY_TURBO_CATCH_UP"
    Dir.mktmpdir do |root|
      FileUtils.mkdir_p "#{root}/config"
      app = SimpleDelegator.new(::Rails.application)
      app.define_singleton_method(:root) { Pathname.new(root) }
      app.define_singleton_method(:config_for) do |name|
        ::Rails::Application.instance_method(:config_for).bind_call(::Rails.application, Pathname.new("#{root}/config/#{name}.yml"))
      end
      assert_match "does not stamp", problem(app)
      File.write "#{root}/config/catenary.yml", "shared:\n  listen: \":8080\"\ntest:\n  turbo:\n    catch_up: <%= \"refresh\" %>\n"
      assert_nil problem(app)
      File.write "#{root}/config/catenary.yml", "test: [\n"
      assert_match "does not stamp", problem(app)
      assert_match "failed to read config/catenary.yml", LOG.string
    end
  end

  private
    def list(*channels)
      ::Rails.application.config.catenary.catch_up_channels = channels
      self.class.stamps.instance_variable_set :@channels, nil
    end

    def get(env = {})
      status, _, body = PagesController.action(:show).call(Rack::MockRequest.env_for("/", env))
      assert_equal 200, status
      html = +""
      body.each { |part| html << part }
      html
    end

    def problem(app = ::Rails.application)
      Catenary::Rails::Stamps.new(app).problem
    end
end
